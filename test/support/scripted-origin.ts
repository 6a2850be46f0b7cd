/** A server in a process of its own that answers GET /name with what stands under that name, byte for byte. */
import { rmSync, writeFileSync } from 'node:fs'
import { type ChildServer, makeDirectory, startModule } from './child-server.ts'

export type Step =
  | { readonly send: string }
  | { readonly repeat: string; readonly times: number }
  | { readonly waitMs: number }
  | { readonly reset: true }
  | { readonly end: true }

export interface ScriptedOrigin extends ChildServer {
  readonly url: string
}

export async function startScriptedOrigin(scripts: Readonly<Record<string, readonly Step[]>>): Promise<ScriptedOrigin> {
  const directory = makeDirectory('scripts')
  writeFileSync(`${directory}/scripts.json`, JSON.stringify(scripts))
  try {
    const module = new URL('../interop/scripted-origin.mjs', import.meta.url)
    const server = await startModule<{ port: number }>(module, [`${directory}/scripts.json`])
    return { ...server, url: `http://127.0.0.1:${server.ready.port}` }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
