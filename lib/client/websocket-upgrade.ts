/** Whether a 101 is the answer to our request for an upgrade (RFC 6455 §4.1), and what was agreed on. */
import type { Agreement } from '../connection/websocket-terms.ts'
import type { HeaderList } from '../wire/http1/header-list.ts'
import { readDeflateAnswer } from '../wire/websocket/deflate-extension.ts'
import { acceptOf, listHas, parseExtensions } from '../wire/websocket/handshake.ts'
import type { RequestPlan } from './request-plan.ts'
import type { WebSocketSettings } from './websocket-settings.ts'

/** Every handshake has a key of its own. */
export function withKey(plan: RequestPlan, key: string): RequestPlan {
  return { ...plan, head: `${plan.head.slice(0, -2)}Sec-WebSocket-Key: ${key}\r\n\r\n` }
}

/** What is wrong with it as text. */
export function readAgreement(headers: HeaderList, key: string, settings: WebSocketSettings): Agreement | string {
  if (!listHas(headers.getAll('upgrade'), 'websocket')) return 'the server upgrades to something else'
  if (!listHas(headers.getAll('connection'), 'upgrade')) return 'the Connection field names no upgrade'
  const accepts = headers.getAll('sec-websocket-accept')
  if (accepts.length !== 1 || accepts[0] !== acceptOf(key)) return 'Sec-WebSocket-Accept does not answer our key'
  const protocols = headers.getAll('sec-websocket-protocol')
  const [protocol = ''] = protocols
  if (protocols.length > 1 || (protocols.length === 1 && !settings.protocols.includes(protocol))) {
    return 'the server chose a subprotocol that was not asked for'
  }
  const extensions = parseExtensions(headers.getAll('sec-websocket-extensions').join(', '))
  if (extensions === null) return 'Sec-WebSocket-Extensions cannot be read'
  if (extensions.length > 0 && !settings.offersDeflate) return `extension ${extensions[0]?.name}, which was not offered`
  const terms = readDeflateAnswer(extensions)
  return typeof terms === 'string' ? terms : { protocol, terms }
}
