import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Multi, type TransferOptions } from '../../lib/index.ts'
import { type Certificate, makeCertificate } from '../support/certificates.ts'
import { type ChildServer, makeDirectory, pause, startProgram, withFreePorts } from '../support/child-server.ts'
import { type Driver, drivers } from '../support/drivers.ts'
import { expectNothingLeft } from '../support/leftovers.ts'
import { type Outcome, Recording, runTransfer, sha256 } from '../support/outcomes.ts'
import { describeWithPeers } from '../support/peers.ts'
import { patternBytes } from '../support/test-files.ts'

const BODY = patternBytes(600_000, 'openssl')
const OK_HEAD = 'HTTP/1.1 200 OK\r\n'

/** Complete responses by name, as `s_server -HTTP` sends them; then it says close_notify. */
const RESPONSES: Readonly<Record<string, Buffer>> = {
  length: Buffer.concat([Buffer.from(`${OK_HEAD}Content-Length: ${BODY.length}\r\n\r\n`), BODY]),
  close: Buffer.concat([Buffer.from(`${OK_HEAD}Connection: close\r\n\r\n`), BODY]),
  short: Buffer.concat([Buffer.from(`${OK_HEAD}Content-Length: ${BODY.length + 1}\r\n\r\n`), BODY]),
}

/** What s_server is told on its terminal. */
interface Console {
  write(text: string): void
}

interface OpensslServer extends ChildServer {
  readonly url: string
  readonly console: Console
}

describeWithPeers(['openssl', 'mkfifo'], ([opensslPath = '']) => {
  const authority = makeCertificate({ commonName: 'Test Authority', isAuthority: true })
  const server = makeCertificate({ commonName: 'localhost', names: ['localhost'], issuer: authority })
  const trusted = { ca: authority.certificate }
  const pids: number[] = []

  expectNothingLeft(() => pids)

  async function withServer<Result>(
    args: readonly string[],
    use: (openssl: OpensslServer) => Promise<Result>,
  ): Promise<Result> {
    const openssl = await startServer(opensslPath, server, args)
    pids.push(openssl.pid)
    try {
      return await use(openssl)
    } finally {
      await openssl.stop()
    }
  }

  const ask = async (driver: Driver, url: string, options: Partial<TransferOptions> = {}): Promise<Outcome> => {
    using multi = new Multi()
    return await runTransfer(driver, multi, { ...trusted, ...options, url })
  }

  describe.each(drivers)('the end of a TLS connection, through $name', (driver) => {
    it('that is announced ends a body of unknown length, and none that is not complete', async () => {
      await withServer(['-HTTP'], async ({ url }) => {
        expect(await ask(driver, `${url}/length`)).toMatchObject({ code: 'OK', sha256: sha256(BODY) })
        expect(await ask(driver, `${url}/close`)).toMatchObject({ code: 'OK', sha256: sha256(BODY) })
        const short = await ask(driver, `${url}/short`)
        expect(short).toMatchObject({ code: 'PARTIAL_FILE', sha256: sha256(BODY) })
      })
    })

    it.each(['-tls1_2', '-tls1_3'])('that is not announced ends no body of unknown length (%s)', async (version) => {
      await withServer([version], async ({ url, console, pid }) => {
        using multi = new Multi()
        const recording = new Recording({ ...trusted, url })
        multi.add(recording.transfer)
        console.write(`${OK_HEAD}Connection: close\r\n\r\n`)
        console.write('hello\n')
        await driver.drive(multi, { until: () => recording.bytes > 0 })
        process.kill(pid, 'SIGKILL')
        await driver.drive(multi)
        recording.message = multi.infoRead() ?? null
        expect(recording.outcome()).toMatchObject({ code: 'RECV_ERROR', text: 'hello\n' })
        expect(recording.message?.error?.message).toMatch(/close_notify|reset|ECONNRESET/)
      })
    })

    it('that is not announced does no harm to a body that is complete', async () => {
      await withServer(['-tls1_3'], async ({ url, console, pid }) => {
        using multi = new Multi()
        console.write(`${OK_HEAD}Content-Length: 6\r\n\r\n`)
        console.write('hello\n')
        const outcome = await runTransfer(driver, multi, { ...trusted, url })
        expect(outcome).toMatchObject({ code: 'OK', text: 'hello\n' })
        expect(multi.stats.idleConnections).toBe(1)
        process.kill(pid, 'SIGKILL')
        await pause(20)
        const next = await runTransfer(driver, multi, { ...trusted, url })
        expect(next.code).toBe('COULDNT_CONNECT')
        expect(multi.stats.connections).toBe(0)
      })
    })

    it('in the middle of the handshake is one of the handshake', async () => {
      await withServer(['-tls1_2', '-Verify', '1', '-verify_return_error'], async ({ url }) => {
        const outcome = await ask(driver, url)
        expect(outcome.code).toBe('SSL_CONNECT_ERROR')
      })
      await withServer(['-tls1_3', '-Verify', '1', '-verify_return_error'], async ({ url }) => {
        const outcome = await ask(driver, url)
        expect(outcome.code).toBe('SSL_CLIENTCERT')
      })
    })
  })

  describe.each(drivers)('what client and server agree on, through $name', (driver) => {
    it.each([
      ['-tls1_2', '-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
      ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-CCM'],
      ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-SHA384'],
      ['-tls1_3', '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256'],
      ['-tls1_3', '-ciphersuites', 'TLS_AES_128_GCM_SHA256'],
      ['-tls1_3', '-groups', 'P-521'],
      ['-tls1_2', '-max_send_frag', '512'],
      ['-tls1_3', '-num_tickets', '0'],
      ['-tls1_3', '-num_tickets', '9'],
    ])('may be %s %s %s', async (...args) => {
      await withServer([...args, '-HTTP'], async ({ url }) => {
        const options = { ciphers: 'ALL', curves: 'P-256:P-521' }
        expect(await ask(driver, `${url}/close`, options)).toMatchObject({ code: 'OK', sha256: sha256(BODY) })
      })
    })

    it('must be something', async () => {
      await withServer(['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256', '-HTTP'], async ({ url }) => {
        const outcome = await ask(driver, `${url}/close`, { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' })
        expect(outcome.code).toBe('SSL_CONNECT_ERROR')
        expect(outcome.message?.error?.message).toMatch(/handshake failure/)
        const agreed = await ask(driver, `${url}/close`, { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })
        expect(agreed).toMatchObject({ code: 'OK', sha256: sha256(BODY) })
      })
      await withServer(['-tls1_3', '-ciphersuites', 'TLS_AES_128_GCM_SHA256', '-HTTP'], async ({ url }) => {
        const outcome = await ask(driver, `${url}/close`, { cipherSuites: 'TLS_AES_256_GCM_SHA384' })
        expect(outcome.code).toBe('SSL_CONNECT_ERROR')
      })
    })

    it('is no protocol of the application that was not offered', async () => {
      await withServer(['-alpn', 'h2', '-HTTP'], async ({ url }) => {
        const outcome = await ask(driver, `${url}/close`)
        expect(outcome.code).toBe('SSL_CONNECT_ERROR')
        const without = await ask(driver, `${url}/close`, { alpn: false })
        expect(without).toMatchObject({ code: 'OK', sha256: sha256(BODY) })
      })
    })

    it('may bring an answer along with the end of the handshake', async () => {
      for (let round = 0; round < 4; round++) {
        await withServer(['-tls1_2'], async ({ url, console }) => {
          console.write(`${OK_HEAD}Content-Length: 6\r\n\r\nearly\n`)
          expect(await ask(driver, url)).toMatchObject({ code: 'OK', text: 'early\n' })
        })
      }
    })

    it('is not renegotiated', async () => {
      await withServer(['-tls1_2'], async ({ url, console }) => {
        using multi = new Multi()
        const recording = new Recording({ ...trusted, url })
        multi.add(recording.transfer)
        console.write(`${OK_HEAD}Connection: close\r\n\r\n`)
        console.write('before\n')
        await driver.drive(multi, { until: () => recording.bytes > 0 })
        console.write('R\n')
        await driver.drive(multi)
        recording.message = multi.infoRead() ?? null
        // Told no, this server gives up.
        expect(recording.outcome()).toMatchObject({ code: 'RECV_ERROR', text: 'before\n' })
        expect(recording.transfer.info.connects).toBe(1)
      })
    })

    it('may get new keys on the way', async () => {
      await withServer(['-tls1_3'], async ({ url, console }) => {
        using multi = new Multi()
        const recording = new Recording({ ...trusted, url })
        multi.add(recording.transfer)
        console.write(`${OK_HEAD}Content-Length: 13\r\n\r\n`)
        console.write('before\n')
        await driver.drive(multi, { until: () => recording.bytes > 0 })
        for (const key of ['k', 'K', 'K']) {
          console.write(`${key}\n`)
          await pause(20)
        }
        console.write('after\n')
        await driver.drive(multi)
        recording.message = multi.infoRead() ?? null
        expect(recording.outcome()).toMatchObject({ code: 'OK', text: 'before\nafter\n' })
        expect(multi.stats.idleConnections).toBe(1)
      })
    })
  })
})

/** Without -HTTP or its like it speaks what is written on its console: a fifo, since it ends with its input. */
async function startServer(path: string, server: Certificate, args: readonly string[]): Promise<OpensslServer> {
  return withFreePorts(1, async ([port = 0]) => {
    const directory = makeDirectory('openssl')
    writeFileSync(`${directory}/server.pem`, `${server.certificate}${server.key}`, { mode: 0o600 })
    for (const [name, response] of Object.entries(RESPONSES)) writeFileSync(`${directory}/${name}`, response)
    spawnSync('mkfifo', [`${directory}/console`])
    const console = openSync(`${directory}/console`, 'r+')
    const all = ['s_server', '-accept', `127.0.0.1:${port}`, '-cert', 'server.pem', '-key', 'server.pem', ...args]
    const script = 'exec "$@" < console'
    try {
      const child = await startProgram('/bin/sh', ['-c', script, 'sh', path, ...all], directory, async () =>
        readFileSync(`${directory}/output.log`, 'utf8').includes('ACCEPT'),
      )
      return {
        ...child,
        url: `https://localhost:${port}`,
        console: { write: (text) => void writeSync(console, text) },
        stop: async () => {
          closeSync(console)
          await child.stop()
        },
      }
    } catch (error) {
      closeSync(console)
      throw error
    }
  })
}
