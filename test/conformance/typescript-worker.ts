/**
 * A worker thread or a process that runs a TypeScript file of this repository on any Node: the file and all that it
 * imports by a relative path are transpiled into a directory under dist/, and removed when the worker has ended.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { Worker, type WorkerOptions } from 'node:worker_threads'
import * as ts from 'typescript'
import { root } from '../support/source-tree.ts'

const IMPORT = /(?:from|import)\s*'(\.{1,2}\/[^']+\.ts)'/g

export function startTypeScriptWorker(file: string, options: WorkerOptions = {}): Worker {
  const { entry, remove } = transpile(file)
  const worker = new Worker(entry, options)
  worker.once('exit', remove)
  return worker
}

/** `runner` is a command that runs the command behind it, as `env` does. */
export function startTypeScriptProcess(
  file: string,
  args: readonly string[],
  options: SpawnOptions,
  runner: readonly string[] = [],
): ChildProcess {
  const { entry, remove } = transpile(file)
  const [command = '', ...rest] = [...runner, process.execPath, entry, ...args]
  const child = spawn(command, rest, options)
  child.once('exit', remove)
  return child
}

/** The JavaScript of a file, for whoever starts it on their own; `remove` when it has ended. */
export function transpile(file: string): { entry: string; remove(): void } {
  const directory = makeDirectory()
  transpileClosure(file, directory)
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  // When this process ends first.
  process.once('exit', remove)
  return { entry: join(directory, file.replace(/\.ts$/, '.js')), remove }
}

function makeDirectory(): string {
  const parent = join(root, 'dist')
  mkdirSync(parent, { recursive: true })
  const directory = mkdtempSync(join(parent, 'worker-'))
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }\n')
  return directory
}

function transpileClosure(entry: string, directory: string): void {
  const queue = [entry]
  const seen = new Set(queue)
  for (const file of queue) {
    const text = readFileSync(join(root, file), 'utf8')
    const { outputText } = ts.transpileModule(text, {
      compilerOptions: {
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.ESNext,
        verbatimModuleSyntax: true,
        rewriteRelativeImportExtensions: true,
      },
    })
    const output = join(directory, file.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(output), { recursive: true })
    writeFileSync(output, outputText)
    for (const [, path = ''] of text.matchAll(IMPORT)) {
      const imported = relative(root, resolve(root, dirname(file), path))
      if (seen.has(imported)) continue
      seen.add(imported)
      queue.push(imported)
    }
  }
}
