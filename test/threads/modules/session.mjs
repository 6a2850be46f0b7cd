// Sessions, one at a time, that count what they answer, behind a policy that cannot be cloned.
export const concurrency = { max: 1 }

export async function session(connection, server) {
  for await (const bytes of connection) {
    const text = Buffer.from(bytes).toString()
    if (text.startsWith('leave')) return
    await connection.send(`${server.data.turns++} ${text}`)
  }
}

export const timeout = (_connection, server) => server.data.log.push('timeout')

export const error = (thrown, { operation }, server) => server.data.log.push(`${operation} ${thrown.message}`)

export const options = { policy: (peer) => peer.address !== '127.0.0.2', timeouts: { idleMs: 60 } }
