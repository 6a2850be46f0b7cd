/** The verbs that the founding documents name are on their pages. */
import { expect, it } from 'vitest'
import { readText } from '../support/source-tree.ts'

const CPROPS = [
  'cp_socket_init', 'cp_socket_stop_all', 'cp_socket_shutdown', 'cp_socket_create', 'cp_socket_create_ssl',
  'cp_socket_delete', 'cp_socket_listen', 'cp_socket_select', 'cp_socket_connection_close', 'cp_socket_set_backlog',
  'cp_socket_set_delay', 'cp_socket_set_delay_sec', 'cp_socket_set_delay_usec', 'cp_socket_set_poolsize_min',
  'cp_socket_set_poolsize_max', 'cp_socket_set_owner', 'CPSOCKET_STRATEGY_CALLBACK', 'CPSOCKET_STRATEGY_THREADPOOL',
] // biome-ignore format: a table

const SOCKET_TOOLS = [
  'InetServerStart', 'InetServerStop', 'InetServerRestart', 'InetServerSuspend', 'InetServerResume',
  'InetServerThrottle', 'InetServerLock', 'InetServerUnlock', 'InetGetServerData', 'InetSetServerData',
  'InetGetServerPriority', 'InetSetServerPriority', 'InetGetServerStatus', 'INET_OPTION_REUSEADDR',
  'INET_OPTION_DONTROUTE', 'INET_OPTION_KEEPALIVE', 'INET_OPTION_NODELAY', 'INET_OPTION_SECURE', 'nLocalPort',
  'lpszLocalHost', 'nBacklog', 'nMaxClients', 'nTimeout', 'nPriority', 'dwEventParam', 'lpCredentials',
] // biome-ignore format: a table

it.each([
  ['docs/from-cprops.md', CPROPS],
  ['docs/from-sockettools.md', SOCKET_TOOLS],
])('%s names every function', (page, names) => {
  const text = readText(page)
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([])
})
