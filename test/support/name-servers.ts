/**
 * A network of its own for a client that resolves names, since getaddrinfo reads nothing but /etc/resolv.conf: private
 * namespaces with a loopback device, a resolv.conf that names dnsmasq, dnsmasq, what it forwards to, an HTTP server.
 * All of it ends with the client.
 */
import { type ChildProcess, spawnSync } from 'node:child_process'
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { startTypeScriptProcess } from '../conformance/typescript-worker.ts'
import { makeDirectory } from './child-server.ts'

export const ORIGIN_PORT = 8080
/** How long the answers for names below slow.test take. */
export const SLOW_MS = 300
const NAME_SERVER = '127.0.0.53'
const FORWARD_PORT = 5300
/** Nobody is there, and nothing says so. */
const DEAD_IPV4 = '198.51.100.1'
const DEAD_IPV6 = '2001:db8:dead::1'
const HOSTS = [
  'four.test,127.0.0.1',
  'both.test,127.0.0.1,::1',
  `dead6.test,127.0.0.1,${DEAD_IPV6}`,
  `dead4.test,${DEAD_IPV4},::1`,
  `dead.test,${DEAD_IPV4}`,
]
const FORWARDED = ['slow.test', 'servfail.test', 'silent.test']

/** Root may; another user where the system lets users make namespaces. */
function runner(): string[] {
  const asUser = process.getuid?.() === 0 ? [] : ['--map-root-user']
  return ['unshare', ...asUser, '--mount', '--net', '--pid', '--fork', '--kill-child']
}

/** null, or why there can be no such network here. */
export function namespaceProblem(): string | null {
  const [command = '', ...args] = [...runner(), 'ip', 'link', 'set', 'lo', 'up']
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 5000 })
  if (status === 0) return null
  return `no private namespaces: ${error?.message ?? stderr.trim()}`
}

export function startInNetwork(dnsmasq: string, client: string, args: readonly string[]): ChildProcess {
  const directory = makeDirectory('names')
  const setup = `${directory}/setup.sh`
  writeFileSync(`${directory}/resolv.conf`, `nameserver ${NAME_SERVER}\noptions timeout:1 attempts:1\n`)
  writeFileSync(setup, setupScript(dnsmasq, directory))
  chmodSync(setup, 0o755)
  const child = startTypeScriptProcess(
    client,
    [NAME_SERVER, directory, ...args],
    { stdio: ['ignore', 'pipe', 'pipe'] },
    [...runner(), 'sh', setup],
  )
  child.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  return child
}

function setupScript(dnsmasq: string, directory: string): string {
  const peers = fileURLToPath(new URL('../interop/resolving-peers.mjs', import.meta.url))
  const options = [
    ...['-k', '-C', '/dev/null', '--no-resolv', '--no-hosts', '--user=root', '--pid-file=', '--cache-size=0'],
    ...[`--listen-address=${NAME_SERVER}`, '--bind-interfaces', '--local=/test/', '--cname=alias.test,four.test'],
    ...HOSTS.map((host) => `--host-record=${host}`),
    ...FORWARDED.map((name) => `--server=/${name}/127.0.0.1#${FORWARD_PORT}`),
  ]
  // What is sent to a strange address over the loopback device comes back and is dropped without a word.
  return `set -e
ip link set lo up
ip addr add 203.0.113.9/32 dev lo
ip -6 addr add 2001:db8:1::9/128 dev lo nodad
ip route add ${DEAD_IPV4}/32 dev lo src 203.0.113.9
ip -6 route add ${DEAD_IPV6}/128 dev lo
mount --bind '${directory}/resolv.conf' /etc/resolv.conf
'${dnsmasq}' ${options.map((option) => `'${option}'`).join(' ')} >'${directory}/dnsmasq.log' 2>&1 &
'${process.execPath}' '${peers}' ${FORWARD_PORT} ${ORIGIN_PORT} ${SLOW_MS} >'${directory}/peers.log' 2>&1 &
exec "$@"
`
}
