/** Answers how its connection is set: '0' when small pieces wait for each other. */
import { kernel, SocketOption } from '../../../dist/bundle/index.js'

export function handler({ connection }) {
  return { body: String(kernel.getOption(connection.fd, SocketOption.NO_DELAY)) }
}
