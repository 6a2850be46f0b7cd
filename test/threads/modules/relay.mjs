// Reads the first line of a connection, puts it back, and leaves the ticket of the socket in `server.data`.
export const data = []

export function readable(connection, server) {
  const bytes = connection.readView()
  if (typeof bytes === 'number') return bytes === 0 ? connection.close() : undefined
  connection.unread(bytes)
  const unclaimedMs = Buffer.from(bytes).toString().startsWith('short') ? 20 : 30_000
  server.data.push(connection.detach({ unclaimedMs }))
}
