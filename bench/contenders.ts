/** Where the programs of the benchmarks are: ours and Node's as scripts, C peers compiled, others as installed. */
import { fileURLToPath } from 'node:url'
import { findNginx, type NginxSite } from './nginx.ts'
import { compilePeer, type PeerSource } from './peers.ts'
import type { Figures, Scene } from './trial.ts'

/** What is measured, as it is started. */
export interface Contender {
  readonly name: string
  readonly isOurs: boolean
  readonly command: readonly string[]
  /** Of a server that does not say where it listens. */
  readonly port: number | null
}

/** Programs with one role in common, and why some are left out. */
export interface Cast {
  readonly members: Contender[]
  readonly missing: string[]
}

export const OWN_LOOP = 'sockmux, own loop'
export const NODE_LOOP = "sockmux, Node's loop"

/** The command that runs a script of bench/ that was compiled, as 'servers/hello'. */
export function scriptCommand(name: string, ...parameters: readonly string[]): string[] {
  return [process.execPath, fileURLToPath(new URL(`./${name}.js`, compiledFolder())), ...parameters]
}

/** The tests run this file from its source; what it starts is compiled all the same. */
function compiledFolder(): URL {
  return import.meta.url.endsWith('.ts') ? new URL('../dist/bench/', import.meta.url) : new URL('./', import.meta.url)
}

export function ours(name: string, command: readonly string[]): Contender {
  return { name, isOurs: true, command, port: null }
}

export function other(name: string, command: readonly string[]): Contender {
  return { name, isOurs: false, command, port: null }
}

/** A C peer, when it can be compiled. */
export function addPeer(cast: Cast, name: string, source: PeerSource, ...parameters: readonly string[]): void {
  const peer = compilePeer(source)
  if ('missing' in peer) cast.missing.push(`${name}: ${peer.missing}`)
  else cast.members.push(other(name, [peer.path, ...parameters]))
}

export function addNginx(cast: Cast, site: NginxSite | null): void {
  if (site === null) cast.missing.push('nginx: it is not installed (apt-get install nginx)')
  else cast.members.push({ ...other('nginx', site.command), port: site.port })
}

/** All of them measured in one way. */
export function sceneOf(
  name: string,
  size: number,
  { members }: Cast,
  measure: (contender: Contender) => Figures | Promise<Figures>,
): Scene {
  return { name, size, subjects: members.map((member) => ({ ...member, measure: () => measure(member) })) }
}

export function hasNginx(): boolean {
  return findNginx() !== null
}

/** What the kernel itself takes: a C program that parses nothing. */
export const FLOOR = 'C on epoll, no parsing'
export const ON_EPOLL = { header: 'sys/epoll.h', debianPackage: 'libc6-dev', libraries: [] } as const

export const LIBMICROHTTPD = 'libmicrohttpd'
const LIBMICROHTTPD_PEER: PeerSource = {
  name: 'server-libmicrohttpd',
  header: 'microhttpd.h',
  debianPackage: 'libmicrohttpd-dev',
  libraries: ['microhttpd'],
}

/** Those that say hello. */
export function helloServers(site: NginxSite | null): Cast {
  const cast: Cast = { members: [], missing: [] }
  addPeer(cast, FLOOR, { ...ON_EPOLL, name: 'server-epoll' })
  addPeer(cast, LIBMICROHTTPD, LIBMICROHTTPD_PEER)
  cast.members.push(
    ours(OWN_LOOP, scriptCommand('servers/sockmux', 'own')),
    ours(NODE_LOOP, scriptCommand('servers/sockmux', 'node')),
    other('node:http', scriptCommand('servers/node-http')),
  )
  addNginx(cast, site)
  return cast
}

/** Those that say hello with so many threads, or processes. */
export function threadedServers(threads: number): Cast {
  const cast: Cast = { members: [], missing: [] }
  const count = String(threads)
  addPeer(cast, LIBMICROHTTPD, LIBMICROHTTPD_PEER, count)
  cast.members.push(
    ours('sockmux ServerGroup', scriptCommand('servers/sockmux-group', count)),
    other('node:http, cluster', scriptCommand('servers/node-cluster', count)),
  )
  return cast
}
