/** Our HTTP server, and curl in most of its moods. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ServerTlsOptions } from '../../lib/index.ts'
import { makeCertificate } from '../support/certificates.ts'
import { type ClientEnd, FILE_BYTES, HELLO, type HttpSite, runClient, until, withSite } from '../support/http-site.ts'
import { sha256 } from '../support/outcomes.ts'
import { describeWithPeer } from '../support/peers.ts'
import { writeTestFile } from '../support/test-files.ts'

const authority = makeCertificate({ commonName: 'Test Authority', isAuthority: true })
const own = makeCertificate({ commonName: 'localhost', names: ['localhost', '127.0.0.1'], issuer: authority })
const client = makeCertificate({ commonName: 'a client', issuer: authority })
const TLS: ServerTlsOptions = { certificate: own.certificate, certificateKey: own.key }
const UPLOAD_BYTES = 2_000_000

let directory = ''
let upload = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sockmux-curl-'))
  upload = writeTestFile(directory, 'upload', UPLOAD_BYTES).sha256
  writeFileSync(join(directory, 'ca.pem'), authority.certificate)
  writeFileSync(join(directory, 'client.pem'), client.certificate)
  writeFileSync(join(directory, 'client-key.pem'), client.key)
})
afterAll(() => rmSync(directory, { recursive: true }))

describeWithPeer('curl', (path) => {
  const curl = (...parameters: string[]): Promise<ClientEnd> =>
    runClient(path, ['-sS', '--max-time', '20', ...parameters])

  async function info(...parameters: string[]): Promise<Record<string, unknown> & { peer: { port: number } }> {
    const { stdout, stderr } = await curl(...parameters)
    expect(stderr).toBe('')
    return JSON.parse(stdout)
  }

  it('is answered over one kept connection', async () => {
    await withSite({}, async (site) => {
      const urls = Array.from({ length: 20 }, () => ['-o', '/dev/null', `${site.url}/hello`]).flat()
      const { stdout, status } = await curl('-w', '%{http_code} %{num_connects}\n', ...urls)
      expect(status).toBe(0)
      expect(stdout).toBe(`200 1\n${'200 0\n'.repeat(19)}`)
      await until(() => site.closes.length === 1)
      expect(site.closes).toEqual(['peer'])
      expect(site.server.stats().accepted).toBe(1)
    })
  })

  it('is answered over many connections at once', async () => {
    await withSite({}, async (site) => {
      const urls = `${site.url}/file.bin?[1-100]`
      const { stdout } = await curl('-Z', '--parallel-max', '20', '-o', '/dev/null', '-w', '%{size_download}\n', urls)
      expect(stdout).toBe(`${FILE_BYTES}\n`.repeat(100))
      await until(() => site.ends.length === 100)
      expect(new Set(site.ends.map((end) => end.split(' ')[2]))).toEqual(new Set(['completed']))
    })
  })

  it('speaks HTTP/1.0, with and without keep-alive', async () => {
    await withSite({}, async ({ url }) => {
      const once = await curl('-i', '--http1.0', `${url}/hello`)
      expect(once.stdout).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
      expect(once.stdout).toMatch(/^connection: close\r$/im)
      expect(once.stdout.endsWith(HELLO)).toBe(true)
      const kept = ['--http1.0', '-H', 'Connection: keep-alive', '-w', ' %{num_connects}\n']
      const { stdout } = await curl(...kept, `${url}/hello`, `${url}/hello`)
      expect(stdout).toBe(`${HELLO} 1\n${HELLO} 0\n`)
      const unknown = await curl('-i', '--http1.0', `${url}/chunked`)
      expect(unknown.stdout).not.toMatch(/^transfer-encoding/im)
      expect(unknown.stdout.endsWith('\r\n\r\none two three')).toBe(true)
    })
  })

  it('receives chunks, and a file whole, in part and not at all', async () => {
    await withSite({}, async (site) => {
      const chunked = await curl('-i', `${site.url}/chunked`)
      expect(chunked.stdout).toMatch(/^transfer-encoding: chunked\r$/im)
      expect(chunked.stdout.endsWith('one two three')).toBe(true)
      const output = join(directory, 'output')
      const file = `${site.url}/file.bin`
      expect((await curl('-o', output, '-w', '%{http_code} %{size_download}', file)).stdout).toBe(`200 ${FILE_BYTES}`)
      expect(sha256(readFileSync(output))).toBe(site.sha256)
      const whole = readFileSync(output)
      const part = await curl('-r', '1000-1999', '-o', output, '-w', '%{http_code}', file)
      expect(part.stdout).toBe('206')
      expect(readFileSync(output).equals(whole.subarray(1000, 2000))).toBe(true)
      await curl('-r', '-500', '-o', output, file)
      expect(readFileSync(output).equals(whole.subarray(-500))).toBe(true)
      const several = await curl('-i', '-r', '0-9,100-109', file)
      expect(several.stdout).toMatch(/^content-type: multipart\/byteranges; boundary=/im)
      writeFileSync(output, whole.subarray(0, 5000))
      expect((await curl('-C', '-', '-o', output, '-w', '%{http_code}', file)).stdout).toBe('206')
      expect(readFileSync(output).equals(whole)).toBe(true)
      expect((await curl('-r', '9999999-', '-o', '/dev/null', '-w', '%{http_code}', file)).stdout).toBe('416')
      const tags = join(directory, 'etag')
      await curl('--etag-save', tags, '-o', '/dev/null', file)
      expect((await curl('--etag-compare', tags, '-w', '%{http_code} %{size_download}', file)).stdout).toBe('304 0')
    })
  })

  it('asks for heads alone', async () => {
    await withSite({}, async ({ url }) => {
      const { stdout } = await curl('-I', '-w', '%{num_connects}', `${url}/file.bin`, `${url}/hello`)
      expect(stdout).toMatch(new RegExp(`^content-length: ${FILE_BYTES}\r$`, 'im'))
      expect(stdout).toMatch(/^content-length: 14\r$/im)
      expect(stdout.endsWith('0')).toBe(true)
    })
  })

  it('uploads with a length and in chunks, and waits to be told to go on', async () => {
    await withSite({}, async ({ url }) => {
      for (const headers of [[], ['-H', 'Transfer-Encoding: chunked'], ['-H', 'Expect:']]) {
        const output = join(directory, 'echo')
        const wanted = ['-T', join(directory, 'upload'), ...headers, '-o', output]
        const { stderr, status } = await curl('-v', '--expect100-timeout', '15', ...wanted, `${url}/echo`)
        expect(status).toBe(0)
        expect(stderr.includes('HTTP/1.1 100 Continue')).toBe(stderr.includes('> Expect: 100-continue'))
        expect(sha256(readFileSync(output))).toBe(upload)
      }
    })
  })

  it('is refused before it sends a body that it waited with', async () => {
    await withSite({}, async (site) => {
      const wanted = ['-T', join(directory, 'upload'), '-H', 'Expect: 100-continue', '--expect100-timeout', '15']
      const { stdout } = await curl(...wanted, '-w', '%{http_code} %{size_upload}', `${site.url}/refuse`)
      expect(stdout).toBe('no\n403 0')
      expect(site.ends).toEqual(['PUT /refuse completed'])
    })
  })

  it('sends forms', async () => {
    await withSite({}, async ({ url }) => {
      const file = join(directory, 'upload')
      const parts = ['-F', 'text=a "b" c', '-F', `file=@${file};type=image/png;filename=p.png`, '-F', 'umlaut=ü']
      expect(JSON.parse((await curl(...parts, `${url}/form`)).stdout)).toMatchObject([
        { name: 'text', filename: null, content: 'a "b" c' },
        { name: 'file', filename: 'p.png', contentType: 'image/png', content: UPLOAD_BYTES },
        { name: 'umlaut', filename: null, content: Buffer.from('ü').toString('latin1') },
      ])
      const encoded = await curl('--data-urlencode', 'a=1 & 2', '-d', 'b=', '-d', 'b=x', `${url}/form`)
      expect(JSON.parse(encoded.stdout)).toMatchObject([
        { name: 'a', content: '1 & 2' },
        { name: 'b', content: '' },
        { name: 'b', content: 'x' },
      ])
      const broken = ['-H', 'Content-Type: multipart/form-data; boundary=x', '-d', '--x\r\n']
      expect((await curl(...broken, '-o', '/dev/null', '-w', '%{http_code}', `${url}/form`)).stdout).toBe('400')
    })
  })

  it('says who it is', async () => {
    await withSite({}, async ({ url }) => {
      const status = ['-o', '/dev/null', '-w', '%{http_code}\n']
      expect((await curl('-u', 'me:sécret', `${url}/basic`)).stdout).toBe('me\n')
      expect((await curl('-u', 'me:wrong', ...status, `${url}/basic`)).stdout).toBe('401\n')
      for (const scheme of ['--digest', '--anyauth']) {
        const { stdout } = await curl(scheme, '-u', 'me:secret', `${url}/digest`, `${url}/digest`)
        expect(stdout).toBe('me 0\nme 0\n')
        expect((await curl(scheme, '-u', 'me:wrong', ...status, `${url}/digest`)).stdout).toBe('401\n')
      }
      const posted = await curl('--digest', '-u', 'me:secret', '-d', 'x'.repeat(100), `${url}/digest?a=b`)
      expect(posted.stdout).toBe('me 100\n')
    })
  })

  it('comes over unix and abstract sockets', async () => {
    const socket = join(directory, 'sock')
    await withSite({ listen: [{ path: socket, mode: 0o600 }, { path: '\0sockmux-curl-test' }] }, async () => {
      expect((await curl('--unix-socket', socket, 'http://any/hello')).stdout).toBe(HELLO)
      expect((await curl('--abstract-unix-socket', 'sockmux-curl-test', 'http://any/hello')).stdout).toBe(HELLO)
      expect(await info('--unix-socket', socket, 'http://any/info')).toMatchObject({ host: 'any' })
    })
  })

  it('comes over IPv6', async () => {
    await withSite({ listen: { host: '*', port: 0 } }, async ({ port }) => {
      expect((await curl(`http://[::1]:${port}/hello`, `http://127.0.0.1:${port}/hello`)).stdout).toBe(HELLO + HELLO)
    })
  })

  it('says in a PROXY header whose client it is', async () => {
    const proxyProtocol = { from: ['127.0.0.1'], required: true }
    await withSite({ proxyProtocol }, async (site) => {
      const { stdout } = await curl('--haproxy-protocol', '-w', '\n%{local_port}', `${site.url}/info`)
      const [body, port] = stdout.split('\n')
      expect(JSON.parse(body as string)).toMatchObject({ peer: { address: '127.0.0.1', port: Number(port) } })
      const without = await curl(`${site.url}/info`)
      expect(without.status).not.toBe(0)
      expect(site.ends).toEqual(['GET /info completed'])
    })
  })

  it.each(['1.2', '1.3'])('speaks TLS %s', async (version) => {
    await withSite({ tls: TLS }, async (site) => {
      const secured = ['--cacert', join(directory, 'ca.pem'), `--tlsv${version}`, '--tls-max', version]
      const url = `https://127.0.0.1:${site.port}`
      expect(await info(...secured, `${url}/info`)).toMatchObject({ protocol: `TLSv${version}`, subject: null })
      const output = join(directory, 'output')
      await curl(...secured, '-o', output, `${url}/file.bin`)
      expect(sha256(readFileSync(output))).toBe(site.sha256)
      await curl(...secured, '-o', output, '-T', join(directory, 'upload'), `${url}/echo`)
      expect(sha256(readFileSync(output))).toBe(upload)
      const kept = await curl(...secured, '-w', '%{num_connects}', `${url}/hello`, `${url}/hello`)
      expect(kept.stdout).toBe(`${HELLO}1${HELLO}0`)
      // It would rather speak HTTP/2.
      const agreed = await curl(...secured, '-v', '-o', output, '-w', '%{http_version}', `${url}/hello`)
      expect(agreed.stdout).toBe('1.1')
      expect(agreed.stderr).toMatch(/ALPN: server accepted http\/1\.1/)
    })
  })

  it('shows a certificate of its own', async () => {
    const tls: ServerTlsOptions = { ...TLS, ca: authority.certificate, clientCertificate: 'require' }
    await withSite({ tls }, async (site) => {
      const url = `https://127.0.0.1:${site.port}/info`
      const trusts = ['--cacert', join(directory, 'ca.pem')]
      const shows = ['--cert', join(directory, 'client.pem'), '--key', join(directory, 'client-key.pem')]
      expect(await info(...trusts, ...shows, url)).toMatchObject({ subject: 'CN=a client' })
      expect((await curl(...trusts, url)).status).not.toBe(0)
      expect(site.ends).toEqual(['GET /info completed'])
    })
  })

  it('hears what is wrong with its request', async () => {
    await withSite({}, async ({ url }: HttpSite) => {
      const status = ['-o', '/dev/null', '-w', '%{http_code}']
      expect((await curl(...status, '-H', `X: ${'x'.repeat(20_000)}`, `${url}/hello`)).stdout).toBe('431')
      expect((await curl(...status, `${url}/${'x'.repeat(9000)}`)).stdout).toBe('414')
      expect((await curl(...status, '-H', 'Bad name: x', `${url}/hello`)).stdout).toBe('400')
      expect((await curl(...status, '-T', join(directory, 'upload'), `${url}/digest`)).stdout).toBe('401')
      expect((await curl(...status, '-H', 'Expect: nonsense', `${url}/hello`)).stdout).toBe('417')
    })
  })
})
