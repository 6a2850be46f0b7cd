/**
 * Responses that are wrong, odd or cut off, and the verdicts on them. `ours` is curl's name of our result; `curl` are
 * the exit codes that curl gives (several where its versions 7.88 and 8.14 differ), which must contain ours unless
 * `why` says for what reason we decide otherwise.
 */
import type { TransferCodeName } from '../../lib/index.ts'
import type { Step } from '../support/scripted-origin.ts'

export interface MalformedResponse {
  readonly name: string
  readonly steps: readonly Step[]
  readonly ours: TransferCodeName
  readonly curl: readonly number[]
  readonly why?: string
}

const OK_HEAD = 'HTTP/1.1 200 OK\r\n'

function sent(text: string): Step[] {
  return [{ send: text }, { end: true }]
}

function head(fields: string, body = ''): Step[] {
  return sent(`${OK_HEAD}${fields}\r\n\r\n${body}`)
}

function chunks(body: string): Step[] {
  return head('Transfer-Encoding: chunked', body)
}

// Why a verdict is not curl's.
const CUT_HEAD = 'curl takes a cut head for a whole one; what it hides may be the length'
const SOME_BYTES = 'curl looks at complete heads or at HTTP/0.9 only; here bytes came, and then the end, inside a head'
const NOT_HTTP = 'curl speaks of HTTP/0.9, which is not spoken here at all'
const OTHER_VERSION = 'curl believes a version that nobody negotiated; how such a message ends is not known'
const EMPTY_LINE =
  'RFC 9112 §2.2: robust against a line end too much; the status line behind it is checked all the same'
const LENGTH = 'RFC 9112 §6.3: what is no length must not be guessed, or two readers end the body in two places'
const LENGTHS = 'RFC 9112 §6.3: more than one length may be refused, since two readers may choose differently'
const CHUNK = 'what other readers may take for another chunk is refused'
const BAD_ARGUMENT = 'it is the peer who is wrong, and not an argument of ours'
const LINE_END = 'CR alone ends no line; bytes came'
const NAME = 'RFC 9112 §5.1: a name that is no token may be another field for another reader'
const VALUE = 'RFC 9110 §5.5: control characters split heads for other readers'
const LIMIT = 'one limit, of the whole head; curl has another for one line'
const SIZE = 'the code that curl has for it since 8.6'

function row(
  name: string,
  steps: readonly Step[],
  ours: TransferCodeName,
  curl: readonly number[],
  why?: string,
): MalformedResponse {
  return why === undefined ? { name, steps, ours, curl } : { name, steps, ours, curl, why }
}

export const endings: readonly MalformedResponse[] = [
  row('nothing', [{ end: true }], 'GOT_NOTHING', [52]),
  row('a reset', [{ reset: true }], 'RECV_ERROR', [56]),
  row('an empty line', sent('\r\n'), 'RECV_ERROR', [1], SOME_BYTES),
  row('half a status line', sent('HTTP/1.'), 'RECV_ERROR', [52], SOME_BYTES),
  row('half a head', sent(`${OK_HEAD}Content-Le`), 'RECV_ERROR', [0], CUT_HEAD),
  row('a head without its empty line', sent(`${OK_HEAD}Content-Length: 5\r\n`), 'RECV_ERROR', [18], CUT_HEAD),
  row('half a body', head('Content-Length: 10', 'hello'), 'PARTIAL_FILE', [18]),
  row(
    'half a body and a reset',
    [{ send: `${OK_HEAD}Content-Length: 10\r\n\r\nhello` }, { waitMs: 50 }, { reset: true }],
    'RECV_ERROR',
    [56],
  ),
  row('a body up to a reset', [{ send: `${OK_HEAD}\r\nhello` }, { waitMs: 50 }, { reset: true }], 'RECV_ERROR', [56]),
  row('only 100 Continue', sent('HTTP/1.1 100 Continue\r\n\r\n'), 'RECV_ERROR', [52], SOME_BYTES),
  row('half a chunk', chunks('a\r\nhello'), 'PARTIAL_FILE', [18]),
  row('half a chunk size', chunks('5\r\nhello\r\na'), 'PARTIAL_FILE', [18]),
  row('no last chunk', chunks('5\r\nhello\r\n'), 'PARTIAL_FILE', [18]),
  row('a last chunk without the last line', chunks('5\r\nhello\r\n0\r\n'), 'PARTIAL_FILE', [18]),
  row('half a trailer', chunks('5\r\nhello\r\n0\r\nA: b'), 'PARTIAL_FILE', [18]),
]

export const statusLines: readonly MalformedResponse[] = [
  row('text instead of a status line', sent('hello\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('binary instead of a status line', sent('\x16\x03\x01\x00\xff\x80\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row(
    'the first frame of HTTP/2',
    sent('\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80'),
    'UNSUPPORTED_PROTOCOL',
    [1],
  ),
  row('the preface of HTTP/2', sent('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('HTTP/2 200', sent('HTTP/2 200\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [0], OTHER_VERSION),
  row('HTTP/2.0 200', sent('HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [0], OTHER_VERSION),
  row('HTTP/3 200', sent('HTTP/3 200 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('HTTP/1.2 200', sent('HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('HTTP/0.9 200', sent('HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('HTTP/1.10 200', sent('HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('HTTP/11 200', sent('HTTP/11 200 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row(
    'http/1.1 in small letters',
    sent('http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
    'UNSUPPORTED_PROTOCOL',
    [0],
    NOT_HTTP,
  ),
  row('ICY 200', sent('ICY 200 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('RTSP/1.0 200', sent('RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('a request', sent('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('an empty line before the status line', sent(`\r\n${OK_HEAD}Content-Length: 0\r\n\r\n`), 'OK', [1], EMPTY_LINE),
  row('a space before the status line', sent(` ${OK_HEAD}Content-Length: 0\r\n\r\n`), 'UNSUPPORTED_PROTOCOL', [1]),
  row('no status', sent('HTTP/1.1\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('letters for a status', sent('HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('a status of two digits', sent('HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('a status of four digits', sent('HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [0, 1]),
  row('status 099', sent('HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('status 000', sent('HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('status 999', sent('HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n'), 'OK', [0]),
  row('a negative status', sent('HTTP/1.1 -200 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [1]),
  row('no reason', sent('HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n'), 'OK', [0]),
  row('an empty reason', sent('HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n'), 'OK', [0]),
  row(
    'two spaces before the status',
    sent('HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n'),
    'UNSUPPORTED_PROTOCOL',
    [0, 1],
  ),
  row('a tab before the status', sent('HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n'), 'UNSUPPORTED_PROTOCOL', [0, 1]),
]

export const lengths: readonly MalformedResponse[] = [
  row('a negative Content-Length', head('Content-Length: -5', 'hello'), 'WEIRD_SERVER_REPLY', [8]),
  row('a Content-Length with a plus', head('Content-Length: +5', 'hello'), 'WEIRD_SERVER_REPLY', [0, 8]),
  row('a hexadecimal Content-Length', head('Content-Length: 0x5', 'hello'), 'WEIRD_SERVER_REPLY', [0], LENGTH),
  row('letters for a Content-Length', head('Content-Length: five', 'hello'), 'WEIRD_SERVER_REPLY', [8]),
  row('an empty Content-Length', head('Content-Length:', 'hello'), 'WEIRD_SERVER_REPLY', [8]),
  row('a Content-Length with a tail', head('Content-Length: 5 bytes', 'hello'), 'WEIRD_SERVER_REPLY', [0], LENGTH),
  row(
    'a Content-Length beyond 2^63',
    head('Content-Length: 99999999999999999999', 'hello'),
    'WEIRD_SERVER_REPLY',
    [0],
    LENGTH,
  ),
  row(
    'a Content-Length beyond 2^53',
    head('Content-Length: 9007199254740993', 'hello'),
    'WEIRD_SERVER_REPLY',
    [18],
    LENGTH,
  ),
  row('a list of equal lengths', head('Content-Length: 5, 5', 'hello'), 'WEIRD_SERVER_REPLY', [0], LENGTHS),
  row('a list of different lengths', head('Content-Length: 5, 6', 'hello'), 'WEIRD_SERVER_REPLY', [0], LENGTHS),
  row(
    'two equal Content-Lengths',
    head('Content-Length: 5\r\nContent-Length: 5', 'hello'),
    'WEIRD_SERVER_REPLY',
    [0],
    LENGTHS,
  ),
  row(
    'two different Content-Lengths',
    head('Content-Length: 5\r\nContent-Length: 6', 'hello'),
    'WEIRD_SERVER_REPLY',
    [18],
    LENGTHS,
  ),
  row('both lengths', head('Content-Length: 3\r\nTransfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'), 'OK', [0]),
  row(
    'chunked in HTTP/1.0',
    sent('HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
    'OK',
    [0],
  ),
  row('chunked twice', head('Transfer-Encoding: chunked, chunked', '5\r\nhello\r\n0\r\n\r\n'), 'OK', [0]),
  row('an identity coding', head('Transfer-Encoding: identity', 'hello'), 'OK', [0]),
  row('an unknown coding', head('Transfer-Encoding: rot13', 'hello'), 'BAD_CONTENT_ENCODING', [61]),
  row(
    'a coding behind chunked',
    head('Transfer-Encoding: chunked, rot13', '5\r\nhello\r\n0\r\n\r\n'),
    'BAD_CONTENT_ENCODING',
    [61],
  ),
  row('an empty Transfer-Encoding', head('Transfer-Encoding:', 'hello'), 'OK', [0]),
  row('more than the length', head('Content-Length: 5', 'hello, and more'), 'OK', [0]),
  row('no length', head('X: y', 'hello'), 'OK', [0]),
  row('204 with a length and a body', sent('HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello'), 'OK', [0]),
  row('304 with a length', sent('HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n'), 'OK', [0]),
  row(
    '101 that nobody asked for',
    sent('HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello'),
    'OK',
    [0],
  ),
]

export const chunkings: readonly MalformedResponse[] = [
  row('a chunk size that is none', chunks('zz\r\nhello\r\n0\r\n\r\n'), 'RECV_ERROR', [56]),
  row('an empty chunk size', chunks('\r\nhello\r\n0\r\n\r\n'), 'RECV_ERROR', [56]),
  row('a negative chunk size', chunks('-5\r\nhello\r\n0\r\n\r\n'), 'RECV_ERROR', [56]),
  row('a chunk size with 0x', chunks('0x5\r\nhello\r\n0\r\n\r\n'), 'RECV_ERROR', [43], BAD_ARGUMENT),
  row('a chunk size beyond 2^64', chunks('fffffffffffffffff\r\nhello\r\n0\r\n\r\n'), 'RECV_ERROR', [56]),
  row('a chunk size beyond 2^63', chunks('ffffffffffffffff\r\nhello\r\n0\r\n\r\n'), 'RECV_ERROR', [56]),
  row('a chunk size with zeros in front', chunks('0000000000000005\r\nhello\r\n0\r\n\r\n'), 'OK', [0]),
  row('a chunk size with a space behind', chunks('5 \r\nhello\r\n0\r\n\r\n'), 'OK', [0]),
  row('a chunk size with a space in front', chunks(' 5\r\nhello\r\n0\r\n\r\n'), 'RECV_ERROR', [56]),
  row('a chunk size with letters behind', chunks('5g\r\nhello\r\n0\r\n\r\n'), 'RECV_ERROR', [0], CHUNK),
  row('a chunk extension', chunks('5;a="b"\r\nhello\r\n0;c\r\n\r\n'), 'OK', [0]),
  row('a chunk without its line end', chunks('5\r\nhello0\r\n\r\n'), 'RECV_ERROR', [56]),
  row('a chunk longer than its size', chunks('4\r\nhello\r\n0\r\n\r\n'), 'RECV_ERROR', [56]),
  row('chunk lines that end in LF', chunks('5\nhello\n0\n\n'), 'RECV_ERROR', [0], CHUNK),
  row('a CR alone behind a chunk size', chunks('5\rXhello\r\n0\r\n\r\n'), 'RECV_ERROR', [18], CHUNK),
  row('a trailer without a colon', chunks('5\r\nhello\r\n0\r\njunk\r\n\r\n'), 'RECV_ERROR', [43], BAD_ARGUMENT),
  row('bytes behind the last chunk', chunks('5\r\nhello\r\n0\r\n\r\nmore'), 'OK', [0]),
  row('text instead of chunks', chunks('hello'), 'RECV_ERROR', [56]),
]

export const fields: readonly MalformedResponse[] = [
  row('lines that end in LF', sent('HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'), 'OK', [0]),
  row(
    'lines that end in CR',
    sent('HTTP/1.1 200 OK\rContent-Length: 5\r\rhello'),
    'WEIRD_SERVER_REPLY',
    [52],
    LINE_END,
  ),
  row('a folded field', head('Content-Length: 5\r\nX-Fold: a\r\n b', 'hello'), 'OK', [0]),
  row(
    'a first field that is folded',
    head(' X: y\r\nContent-Length: 5', 'hello'),
    'WEIRD_SERVER_REPLY',
    [0, 43],
    BAD_ARGUMENT,
  ),
  row('a field without a colon', head('junk\r\nContent-Length: 5', 'hello'), 'WEIRD_SERVER_REPLY', [8]),
  row('a field without a name', head(': x\r\nContent-Length: 5', 'hello'), 'WEIRD_SERVER_REPLY', [0], NAME),
  row('a space before the colon', head('Content-Length : 5', 'hello'), 'WEIRD_SERVER_REPLY', [0], NAME),
  row('a space inside a name', head('X Y: z\r\nContent-Length: 5', 'hello'), 'WEIRD_SERVER_REPLY', [0], NAME),
  row('NUL in a value', head('X: a\0b\r\nContent-Length: 5', 'hello'), 'WEIRD_SERVER_REPLY', [8]),
  row('NUL in a name', head('X\0Y: b\r\nContent-Length: 5', 'hello'), 'WEIRD_SERVER_REPLY', [8]),
  row('CR in a value', head('X: a\rb\r\nContent-Length: 5', 'hello'), 'WEIRD_SERVER_REPLY', [0], VALUE),
  row(
    'a control character in a value',
    head('X: a\x01b\r\nContent-Length: 5', 'hello'),
    'WEIRD_SERVER_REPLY',
    [0],
    VALUE,
  ),
  row('bytes above 127 in a value', head('X: \xe4\xff\r\nContent-Length: 5', 'hello'), 'OK', [0]),
  row(
    'a field of 290 KB',
    [
      { send: `${OK_HEAD}X: ` },
      { repeat: 'x', times: 290 * 1024 },
      { send: '\r\nContent-Length: 0\r\n\r\n' },
      { end: true },
    ],
    'OK',
    [27, 100],
    LIMIT,
  ),
  row(
    'a field of 310 KB',
    [
      { send: `${OK_HEAD}X: ` },
      { repeat: 'x', times: 310 * 1024 },
      { send: '\r\nContent-Length: 0\r\n\r\n' },
      { end: true },
    ],
    'TOO_LARGE',
    [27, 100],
  ),
  row(
    '400 fields of 1 KB',
    [
      { send: OK_HEAD },
      { repeat: `X: ${'x'.repeat(1019)}\r\n`, times: 400 },
      { send: 'Content-Length: 0\r\n\r\n' },
      { end: true },
    ],
    'TOO_LARGE',
    [56],
    SIZE,
  ),
  row(
    '6000 short fields',
    [{ send: OK_HEAD }, { repeat: 'X: y\r\n', times: 6000 }, { send: 'Content-Length: 0\r\n\r\n' }, { end: true }],
    'TOO_LARGE',
    [0, 100],
  ),
  row(
    '100 informational heads',
    [
      { repeat: 'HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n', times: 100 },
      { send: `${OK_HEAD}Content-Length: 0\r\n\r\n` },
      { end: true },
    ],
    'OK',
    [0],
  ),
  row(
    'informational heads of 10 MB',
    [
      { repeat: `HTTP/1.1 103 Early Hints\r\nX: ${'x'.repeat(1000)}\r\n\r\n`, times: 10_000 },
      { send: `${OK_HEAD}Content-Length: 0\r\n\r\n` },
      { end: true },
    ],
    'TOO_LARGE',
    [56],
    SIZE,
  ),
]
