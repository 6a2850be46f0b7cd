import { describe, expect, it } from 'vitest'
import { HttpError } from '../../../lib/server/http/http-error.ts'
import { collectForm, type FormLimits, formParts, type ReceivedForm } from '../../../lib/server/http/request/form.ts'
import { HeaderList } from '../../../lib/wire/http1/header-list.ts'

class Source {
  readonly headers: HeaderList
  readonly #pieces: readonly string[]
  taken = 0
  returned = 0

  constructor(contentType: string, ...pieces: readonly string[]) {
    this.headers = HeaderList.fromPairs(contentType === '' ? [] : [['Content-Type', contentType]])
    this.#pieces = pieces
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    return {
      next: async () => {
        const piece = this.#pieces[this.taken]
        if (piece === undefined) return { done: true, value: undefined }
        this.taken++
        return { done: false, value: Buffer.from(piece) }
      },
      return: async () => {
        this.returned++
        return { done: true, value: undefined }
      },
    }
  }
}

const MULTIPART = 'multipart/form-data; boundary=b'
const URLENCODED = 'application/x-www-form-urlencoded'
const field = (name: string, value: string): string =>
  `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const file = (name: string, value: string): string =>
  `--b\r\nContent-Disposition: form-data; name="${name}"; filename="f.txt"\r\nContent-Type: text/x\r\n\r\n${value}\r\n`

async function statusOf(work: Promise<unknown>): Promise<number> {
  const error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof HttpError)) throw error
  return error.status
}

const collect = (source: Source, limits?: FormLimits): Promise<ReceivedForm> => collectForm(source, limits)

describe('a form in a request', () => {
  it('is collected: fields, files, several of one name', async () => {
    const form = await collect(new Source(MULTIPART, field('a', '1'), field('a', '2'), file('f', 'text'), '--b--'))
    expect(form.size).toBe(3)
    expect(form.get('a')).toBe('1')
    expect(form.getAll('a')).toEqual(['1', '2'])
    expect(form.get('f')).toBeUndefined()
    expect(form.file('f')).toMatchObject({ filename: 'f.txt', contentType: 'text/x' })
    expect(form.file('f')?.text()).toBe('text')
    expect([...form].map((one) => one.name)).toEqual(['a', 'a', 'f'])
  })

  it('is collected from urlencoded text', async () => {
    const form = await collect(new Source(`${URLENCODED};charset=UTF-8`, 'a=1&b=%e2%', '82%ac+x&a=2'))
    expect(form.getAll('a')).toEqual(['1', '2'])
    expect(form.get('b')).toBe('€ x')
  })

  it('gives a part as it arrives, before the next piece is asked for', async () => {
    const source = new Source(
      MULTIPART,
      field('a', '1'),
      file('f', 'one').slice(0, -2),
      'two',
      `\r\n${field('b', '2')}--b--`,
    )
    const parts = formParts(source)
    const first = (await parts.next()).value as { name: string }
    expect(first.name).toBe('a')
    const second = (await parts.next()).value as AsyncIterable<Uint8Array> & { name: string }
    expect([second.name, source.taken]).toEqual(['f', 2])
    const pieces: string[] = []
    for await (const piece of second) pieces.push(Buffer.from(piece).toString())
    expect(pieces.join('')).toBe('onetwo')
    expect(((await parts.next()).value as { name: string }).name).toBe('b')
    expect((await parts.next()).done).toBe(true)
  })

  it('passes over what is left of a part, and gives nothing of it afterwards', async () => {
    const parts = formParts(new Source(MULTIPART, file('f', 'x'.repeat(1000)), `${field('b', '2')}--b--`))
    const first = (await parts.next()).value as { bytes(): Promise<Uint8Array> }
    const second = (await parts.next()).value as { name: string; text(): Promise<string> }
    expect(second.name).toBe('b')
    expect(await first.bytes()).toHaveLength(0)
    expect(await second.text()).toBe('2')
  })

  it('lets go of the body when nobody reads on', async () => {
    const source = new Source(MULTIPART, field('a', '1'), field('b', '2'), '--b--')
    for await (const part of formParts(source)) {
      expect(part.name).toBe('a')
      break
    }
    expect(source.returned).toBe(1)
  })

  it.each([
    [415, '', 'a=1', {}],
    [415, 'text/plain', 'a=1', {}],
    [415, 'multipart/form-data', 'a=1', {}],
    [400, MULTIPART, `${field('a', '1')}--b`, {}],
    [400, MULTIPART, '', {}],
    [413, MULTIPART, `${field('a', '12345')}--b--`, { maxPartBytes: 4 }],
    [413, MULTIPART, `${field('a', '123')}${field('b', '123')}--b--`, { maxPartBytes: 4, maxBytes: 5 }],
    [413, MULTIPART, `${field('a', '')}${field('b', '')}--b--`, { maxParts: 1 }],
    [413, URLENCODED, 'a=1&b=2', { maxParts: 1 }],
    [413, URLENCODED, 'a=12345', { maxBytes: 4 }],
  ] as const)('is refused with %i: %s %j', async (status, contentType, body, limits) => {
    expect(await statusOf(collect(new Source(contentType, body), limits))).toBe(status)
  })

  it('refuses limits that are none, and names them', async () => {
    const limits = { maxParts: -1 }
    await expect(collect(new Source(URLENCODED), limits)).rejects.toThrow(/maxParts/)
  })
})
