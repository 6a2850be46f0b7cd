/** A real browser on a page of our HTTP server, which tells how it went. */
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { fileResponse, type HttpRequest, type HttpResponse, webSocket } from '../../lib/index.ts'
import { HttpSite } from '../support/http-site.ts'
import { describeWithPeer } from '../support/peers.ts'

const BROWSER_MS_MAX = 90_000
const UPLOAD_BYTES = 500_000
const SOUND_SECONDS = 2000
const SOUND_RATE = 8000
const MESSAGE_BYTES = 300_000

/** Runs in the browser. */
const PAGE = `<!DOCTYPE html><html><head><meta charset="utf-8"><title>wait</title></head><body><script type="module">
const told = {}
try {
  const ids = []
  for (let i = 0; i < 10; i++) ids.push((await (await fetch('/info?' + i)).json()).id)
  told.isKept = new Set(ids).size <= 2

  const together = await Promise.all(Array.from({ length: 60 }, (_, i) => fetch('/hello?' + i).then((r) => r.text())))
  told.together = new Set(together).size

  const part = await fetch('/sound.wav', { headers: { range: 'bytes=0-3' }, cache: 'no-store' })
  told.part = [part.status, await part.text()]

  const sound = new Audio('/sound.wav?played')
  sound.muted = true
  sound.preload = 'metadata'
  const event = (name) => new Promise((resolve, reject) => {
    sound.addEventListener(name, resolve, { once: true })
    sound.addEventListener('error', () => reject(new Error('sound: ' + sound.error?.message)), { once: true })
  })
  await event('loadedmetadata')
  told.duration = Math.round(sound.duration)
  const sought = event('seeked')
  sound.currentTime = sound.duration * 0.9
  await sought
  told.position = Math.round(sound.currentTime)
  sound.removeAttribute('src')
  sound.load()

  const form = new FormData()
  form.append('text', 'grüße')
  form.append('file', new Blob([new Uint8Array(${UPLOAD_BYTES}).fill(7)], { type: 'image/png' }), 'a "b".png')
  told.form = await (await fetch('/form', { method: 'POST', body: form })).json()

  const first = await fetch('/file.bin')
  const hash = await crypto.subtle.digest('SHA-256', await first.arrayBuffer())
  told.file = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  told.notModified = (await fetch('/file.bin', { cache: 'no-cache' })).status

  const events = new EventSource('/events')
  told.events = await new Promise((resolve, reject) => {
    const seen = []
    events.onmessage = ({ data }) => { if (seen.push(data) === 3) resolve(seen) }
    events.onerror = () => reject(new Error('events'))
  })
  events.close()

  const socket = new WebSocket('ws://' + location.host + '/socket', ['unknown', 'echo'])
  socket.binaryType = 'arraybuffer'
  const message = () => new Promise((resolve, reject) => {
    socket.addEventListener('message', ({ data }) => resolve(data), { once: true })
    socket.addEventListener('close', () => reject(new Error('socket')), { once: true })
  })
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = () => reject(new Error('no socket'))
  })
  told.socket = { protocol: socket.protocol, extensions: socket.extensions }
  let answer = message()
  socket.send('grüße')
  told.socket.text = await answer
  answer = message()
  socket.send(new Uint8Array(${MESSAGE_BYTES}).fill(9))
  const bytes = new Uint8Array(await answer)
  told.socket.binary = [bytes.length, bytes.every((byte) => byte === 9)]
  const closed = new Promise((resolve) => {
    socket.onclose = ({ code, reason, wasClean }) => resolve([code, reason, wasClean])
  })
  socket.close(4001, 'enough')
  told.socket.closed = await closed
} catch (error) {
  told.error = String(error)
}
await fetch('/told', { method: 'POST', body: JSON.stringify(told) })
</script></body></html>
`

/** Silence, long enough that nobody fetches all of it. */
function soundFile(): Buffer {
  const samples = SOUND_SECONDS * SOUND_RATE
  const file = Buffer.alloc(44 + samples, 128)
  file.write('RIFF')
  file.writeUInt32LE(36 + samples, 4)
  file.write('WAVEfmt ', 8)
  file.writeUInt32LE(16, 16)
  file.writeUInt16LE(1, 20)
  file.writeUInt16LE(1, 22)
  file.writeUInt32LE(SOUND_RATE, 24)
  file.writeUInt32LE(SOUND_RATE, 28)
  file.writeUInt16LE(1, 32)
  file.writeUInt16LE(8, 34)
  file.write('data', 36)
  file.writeUInt32LE(samples, 40)
  return file
}

/** The page and what it talks to; null: somebody else's. */
class PageServer {
  /** As they were asked for by the player. */
  readonly ranges: string[] = []
  readonly told: Promise<string>
  #tell: (text: string) => void = () => {}
  readonly #sound: string

  constructor(sound: string) {
    this.#sound = sound
    this.told = new Promise((resolve) => {
      this.#tell = resolve
    })
  }

  answer(request: HttpRequest): HttpResponse | PromiseLike<HttpResponse> | null {
    switch (request.url.replace(/\?.*/, '')) {
      case '/':
        return { headers: { 'content-type': 'text/html' }, body: PAGE }
      case '/sound.wav':
        if (request.url.endsWith('played')) this.ranges.push(request.headers.get('range') ?? 'none')
        return fileResponse(request, this.#sound)
      case '/events':
        return { headers: { 'content-type': 'text/event-stream' }, body: events() }
      case '/socket':
        return webSocket(request, {
          protocols: ['echo'],
          onMessage: (socket, { type, data }) => void socket.send(data, { type }),
        })
      case '/told':
        return request.text().then((text) => {
          this.#tell(text)
          return { status: 204 }
        })
      default:
        return null
    }
  }
}

/** Of process groups: a browser, with everything that it started. */
const running = new Set<number>()

afterEach(killBrowsers)
process.once('exit', killBrowsers)

function killBrowsers(): void {
  for (const group of running) {
    try {
      process.kill(-group, 'SIGKILL')
    } catch {
      // It is gone already.
    }
  }
  running.clear()
}

/** Until it has told, or is gone by itself. */
async function browse(path: string, url: string, profile: string, told: Promise<string>): Promise<unknown> {
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--mute-audio', '--remote-debugging-port=0']
  const child = spawn(path, [...flags, `--user-data-dir=${profile}`, url], { detached: true, stdio: 'ignore' })
  if (child.pid !== undefined) running.add(child.pid)
  const gone = new Promise<string>((resolve) => child.once('exit', () => resolve('{"error":"the browser ended"}')))
  const result = await Promise.race([told, gone])
  killBrowsers()
  await gone
  return JSON.parse(result)
}

describeWithPeer('chromium', (path) => {
  it('fetches, plays, uploads and talks', { timeout: BROWSER_MS_MAX }, async () => {
    const site: HttpSite = new HttpSite({ handler: (request) => page.answer(request) ?? site.router.handler(request) })
    const page = new PageServer(join(site.directory, 'sound.wav'))
    writeFileSync(join(site.directory, 'sound.wav'), soundFile())
    const result = await browse(path, site.url, join(site.directory, 'profile'), page.told)
    await site.close()
    expect(result).toEqual({
      isKept: true,
      together: 1,
      part: [206, 'RIFF'],
      duration: SOUND_SECONDS,
      position: SOUND_SECONDS * 0.9,
      form: [
        { name: 'text', filename: null, contentType: expect.any(String), content: 'grüße' },
        { name: 'file', filename: 'a "b".png', contentType: 'image/png', content: UPLOAD_BYTES },
      ],
      file: site.sha256,
      // Its cache answers after a 304.
      notModified: 200,
      events: ['1', '2', '3'],
      socket: {
        protocol: 'echo',
        extensions: expect.stringContaining('permessage-deflate'),
        text: 'grüße',
        binary: [MESSAGE_BYTES, true],
        // The code comes back, and no reason of the server's own.
        closed: [4001, '', true],
      },
    })
    expect(page.ranges[0]).toBe('bytes=0-')
    expect(page.ranges.some((range) => /^bytes=[1-9]\d{6,}-/.test(range))).toBe(true)
    expect(site.errors).toEqual([])
  })
})

async function* events(): AsyncGenerator<string> {
  for (let i = 1; i <= 3; i++) {
    yield `data: ${i}\n\n`
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
