import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as ts from 'typescript'
import { describe, expect, it } from 'vitest'
import type { ImportEdge } from './support/source-tree.ts'
import {
  isCpp,
  isTypeScript,
  lineOf,
  listExports,
  listImports,
  listSources,
  parse,
  readCode,
  readText,
  root,
  visit,
} from './support/source-tree.ts'

// The architecture as a table: a layer may import itself and what stands here.
const LAYERS: Record<string, readonly string[]> = {
  base: [],
  wire: ['base'],
  sys: ['base'],
  multi: ['base', 'sys'],
  connection: ['base', 'wire', 'sys', 'multi'],
  client: ['base', 'wire', 'sys', 'multi', 'connection'],
  server: ['base', 'wire', 'sys', 'multi', 'connection'],
  loops: ['base', 'sys', 'multi'],
  request: ['base', 'wire', 'sys', 'multi', 'connection', 'client', 'loops'],
  // worker_threads, ports and shared memory: servers in threads of their own, on Node's loop there.
  threads: ['base', 'wire', 'sys', 'multi', 'connection', 'server', 'loops'],
  // The command stands outside and knows what everybody knows: the index.
  cli: ['top'],
}
// These know the contracts of sys only, so that they run unchanged on a simulated kernel.
const DETERMINISTIC_LAYERS = ['wire', 'multi', 'connection', 'client', 'server']
const ADDON_FILE = 'lib/sys/native.ts'
// The second binary, loaded when TLS is first used.
const TLS_ADDON_FILE = 'lib/sys/native-tls.ts'
// The one file that names the real kernel, clock and resolver as defaults; anyone may import it.
const WIRING_FILE = 'lib/sys/defaults.ts'
const INDEX_FILE = 'lib/index.ts'

const PACKAGES_PER_LAYER: Record<string, readonly string[]> = {
  wire: ['undici'],
  client: ['tough-cookie'],
  cli: ['cli-progress'],
}

const LINE_LENGTH_MAX = 120
const FILE_LINES_ADVISED = 400
const FILE_LINES_MAX = 450
const FUNCTION_LINES_MAX = 70
const CONTRACT_LINES_MAX = 10

const CLOCK_FILES = ['lib/sys/clock.ts', 'lib/client/cookie-jar.ts', 'lib/client/hsts-store.ts']
const ENVIRONMENT_FILES = [
  'lib/cli/get-options.ts',
  'lib/sys/defaults.ts',
  'lib/sys/environment.ts',
  'lib/sys/native.ts',
  'lib/sys/native-tls.ts',
]
// They spell the banned words to look for them.
const WORD_LISTS = ['test/tidy.test.ts']

const sources = listSources()
const typeScript = sources.filter(isTypeScript)
const library = typeScript.filter((file) => file.startsWith('lib/'))
const imports = typeScript.flatMap(listImports)

function layerOf(file: string): string {
  const [top, layer, rest] = file.split('/')
  return top === 'lib' && layer !== undefined && rest !== undefined ? layer : 'top'
}

function show(edge: ImportEdge): string {
  return `${edge.from}:${edge.line} imports ${edge.to}`
}

/** Every line of every given file that matches, as `file:line: text`. */
function grep(files: readonly string[], pattern: RegExp, read: (file: string) => string = readText): string[] {
  return files.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  )
}

describe('layers', () => {
  const internal = imports.filter((edge) => edge.from.startsWith('lib/') && edge.to.startsWith('lib/'))

  it('have a row in the table', () => {
    const unknown = library.filter((file) => layerOf(file) !== 'top' && !(layerOf(file) in LAYERS))
    expect(unknown).toEqual([])
  })

  it('import downward only, types included', () => {
    const offenders = internal.filter((edge) => {
      const [from, to] = [layerOf(edge.from), layerOf(edge.to)]
      return from !== 'top' && from !== to && !LAYERS[from]?.includes(to)
    })
    expect(offenders.map(show)).toEqual([])
  })

  it('that are deterministic import contracts of sys, never what reaches the addon', () => {
    const reaching = filesReaching(ADDON_FILE, internal)
    const offenders = internal.filter(
      (edge) => DETERMINISTIC_LAYERS.includes(layerOf(edge.from)) && edge.from !== WIRING_FILE && reaching.has(edge.to),
    )
    expect(offenders.map(show)).toEqual([])
  })

  it('leave the library only for node: modules and the packages they are given', () => {
    const offenders = imports.filter((edge) => {
      if (!edge.from.startsWith('lib/') || edge.to.startsWith('node:') || edge.to.startsWith('lib/')) return false
      const allowed = PACKAGES_PER_LAYER[layerOf(edge.from)] ?? []
      return !allowed.some((name) => edge.to === name || edge.to.startsWith(`${name}/`))
    })
    expect(offenders.map(show)).toEqual([])
  })

  it('bind each addon in one file', () => {
    const others = library.filter((file) => file !== ADDON_FILE && file !== TLS_ADDON_FILE)
    expect(grep(others, /process\.dlopen|\.node['"`]/, readCode)).toEqual([])
  })

  it('meet in an index that only re-exports', () => {
    const statements = existsSync(join(root, INDEX_FILE)) ? parse(INDEX_FILE).statements : []
    const offenders = statements.filter((node) => !ts.isExportDeclaration(node) || node.moduleSpecifier === undefined)
    expect(offenders.map((node) => node.getText())).toEqual([])
  })
})

/** Files that lead to `target` through imports, apart from the wiring file and whatever only it leads through. */
function filesReaching(target: string, edges: readonly ImportEdge[]): Set<string> {
  const reaching = new Set([target])
  for (let size = 0; size !== reaching.size; ) {
    size = reaching.size
    for (const edge of edges) {
      const isSystem = edge.from.startsWith('lib/sys/') && edge.from !== WIRING_FILE
      if (isSystem && reaching.has(edge.to)) reaching.add(edge.from)
    }
  }
  return reaching
}

describe('sizes', () => {
  it(`lines have at most ${LINE_LENGTH_MAX} columns`, () => {
    const offenders = sources.flatMap((file) =>
      readText(file)
        .split('\n')
        .flatMap((line, index) => (line.length > LINE_LENGTH_MAX ? [`${file}:${index + 1}: ${line.length}`] : [])),
    )
    expect(offenders).toEqual([])
  })

  it(`library files have at most ${FILE_LINES_MAX} lines`, () => {
    const files = sources.filter((file) => /^(?:lib|native)\//.test(file))
    const sizes = files.map((file) => ({ file, lines: readText(file).split('\n').length - 1 }))
    for (const { file, lines } of sizes) {
      if (lines > FILE_LINES_ADVISED) process.stderr.write(`advice: ${file} has ${lines} lines\n`)
    }
    expect(sizes.filter(({ lines }) => lines > FILE_LINES_MAX)).toEqual([])
  })

  it(`functions have at most ${FUNCTION_LINES_MAX} lines`, () => {
    const offenders = [...typeScript.flatMap(longFunctions), ...sources.filter(isCpp).flatMap(longCppFunctions)]
    expect(offenders).toEqual([])
  })
})

function longFunctions(file: string): string[] {
  const tree = parse(file)
  const offenders: string[] = []
  visit(tree, (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined || isSuite(node)) return
    const [first, last] = [lineOf(tree, node.getStart()), lineOf(tree, node.getEnd())]
    const lines = last - first + 1
    const name = node.name?.getText(tree) ?? 'a function'
    if (lines > FUNCTION_LINES_MAX) offenders.push(`${file}:${first}: ${name} has ${lines} lines`)
  })
  return offenders
}

/** A describe block is a list of tests, not a function to be read as one. */
function isSuite(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && /^describe/.test(node.parent.expression.getText())
}

/** By the shape that clang-format gives: a body opens at the end of a line at column 0 and closes with one brace. */
function longCppFunctions(file: string): string[] {
  const offenders: string[] = []
  let opened = -1
  readText(file)
    .split('\n')
    .forEach((line, index) => {
      if (/^[^\s#/}].*\).*\{$/.test(line)) opened = index
      if (!line.startsWith('}') || opened < 0) return
      const lines = index - opened + 1
      if (lines > FUNCTION_LINES_MAX) offenders.push(`${file}:${opened + 1}: a function has ${lines} lines`)
      opened = -1
    })
  return offenders
}

describe('names', () => {
  it('of TypeScript files are kebab-case, of C++ files snake_case', () => {
    const offenders = sources.filter((file) => {
      const name = file.slice(file.lastIndexOf('/') + 1)
      if (isTypeScript(file)) return !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test|\.config)?\.ts$/.test(name)
      return isCpp(file) && !/^[a-z0-9]+(?:_[a-z0-9]+)*\.(?:cc|h)$/.test(name)
    })
    expect(offenders).toEqual([])
  })
})

describe('words', () => {
  const searched = sources.filter((file) => !WORD_LISTS.includes(file))

  it('leave nothing for later', () => {
    expect(grep(searched, /\b(?:TODO|FIXME|XXX|HACK)\b/)).toEqual([])
  })

  it('silence neither the compiler nor the linter', () => {
    expect(grep(searched, /@ts-(?:ignore|nocheck)|eslint-disable|NOLINT/)).toEqual([])
    const untyped = searched.filter((file) => !file.startsWith('test/types/'))
    expect(grep(untyped, /@ts-expect-error/)).toEqual([])
    expect(grep(searched, /biome-ignore(?! format: )/)).toEqual([])
  })

  it('never say any as a type', () => {
    const offenders = typeScript.flatMap((file) => {
      const found: string[] = []
      visit(parse(file), (node) => {
        if (node.kind === ts.SyntaxKind.AnyKeyword) found.push(`${file}:${lineOf(parse(file), node.getStart())}`)
      })
      return found
    })
    expect(offenders).toEqual([])
  })

  it('run every test, and skip only for a missing peer', () => {
    const tests = searched.filter((file) => file.startsWith('test/'))
    expect(grep(tests, /\b(?:it|test|describe|suite)\.(?:only|skip|todo|fails)\b/, readCode)).toEqual([])
    const users = tests.filter((file) => !file.startsWith('test/support/'))
    expect(grep(users, /\.(?:skipIf|runIf)\(|\bskip\(\)/, readCode)).toEqual([])
  })

  it('of the library print nothing', () => {
    const files = library.filter((file) => layerOf(file) !== 'cli')
    expect(grep(files, /\bconsole\./, readCode)).toEqual([])
  })

  it('of the library read no clock and arm no timer of their own', () => {
    const free = ['loops', 'threads', 'cli']
    const files = library.filter((file) => !CLOCK_FILES.includes(file) && !free.includes(layerOf(file)))
    const pattern = /\b(?:setTimeout|setInterval|setImmediate)\(|\bDate\.now\b|\bperformance\.now\b|\bhrtime\b/
    expect(grep(files, pattern, readCode)).toEqual([])
  })

  it('of deterministic layers throw no dice', () => {
    const files = library.filter((file) => DETERMINISTIC_LAYERS.includes(layerOf(file)))
    expect(grep(files, /\bMath\.random\b/, readCode)).toEqual([])
  })

  it('of the library read the environment in named files only', () => {
    const files = library.filter((file) => !ENVIRONMENT_FILES.includes(file))
    expect(grep(files, /\bprocess\.env\b/, readCode)).toEqual([])
  })
})

describe('contracts', () => {
  it(`open every library file, in at most ${CONTRACT_LINES_MAX} lines`, () => {
    const offenders = library.filter((file) => {
      if (file === INDEX_FILE) return false
      const comment = /^(?:#!.*\n)?(\/\*\*[\s\S]*?\*\/)/.exec(readText(file))?.[1]
      return comment === undefined || comment.split('\n').length > CONTRACT_LINES_MAX
    })
    expect(offenders).toEqual([])
  })

  it('exist for what is exported: every export is used or public', () => {
    expect(library.filter((file) => file !== INDEX_FILE).flatMap(deadExports)).toEqual([])
  })
})

/** A type may be exported for the signatures of its own file; a value needs somebody who imports it. */
function deadExports(file: string): string[] {
  const importers = imports.filter((edge) => edge.to === file)
  if (importers.some((edge) => edge.names === null)) return []
  const used = new Set(importers.flatMap((edge) => edge.names ?? []))
  const names = listExports(file)
  return names
    .filter((exported) => !used.has(exported.name))
    .filter((exported) => !names.some((other) => other.name === exported.name && used.has(other.name)))
    .filter((exported) => !(exported.isType && countName(file, exported.name) > 1))
    .map((exported) => `${file}:${exported.line}: ${exported.name} is imported nowhere`)
}

function countName(file: string, name: string): number {
  let count = 0
  visit(parse(file), (node) => {
    if (ts.isIdentifier(node) && node.text === name) count++
  })
  return count
}

describe('documents', () => {
  const manifest: {
    scripts: Record<string, string>
    dependencies: Record<string, string>
    devDependencies: Record<string, string>
  } = JSON.parse(readText('package.json'))

  function scriptsNamedIn(file: string): Set<string> {
    const calls = readText(file).matchAll(/\bnpm (?:run (?:--silent )?([a-z:-]+)|(test|start)\b)/g)
    return new Set([...calls].map((call) => call[1] ?? call[2] ?? ''))
  }

  it('name scripts of package.json that exist', () => {
    const files = ['README.md', 'CONTRIBUTING.md', 'docs/ARCHITECTURE.md']
    const offenders = files.flatMap((file) =>
      [...scriptsNamedIn(file)].filter((name) => !(name in manifest.scripts)).map((name) => `${file}: npm run ${name}`),
    )
    expect(offenders).toEqual([])
  })

  it('list every script for those who contribute', () => {
    const listed = scriptsNamedIn('CONTRIBUTING.md')
    expect(Object.keys(manifest.scripts).filter((name) => !listed.has(name) && name !== 'prepare')).toEqual([])
  })

  it('pin every dependency to one version, and say in the architecture why it is there', () => {
    const pins = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    expect(pins.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
    const architecture = readText('docs/ARCHITECTURE.md')
    expect(pins.filter(([name, version]) => !architecture.includes(`\`${name}\` ${version}`))).toEqual([])
  })

  it('keep the changelog in its shape', () => {
    expect(changelogProblems(readText('CHANGELOG.md'))).toEqual([])
  })
})

function changelogProblems(text: string): string[] {
  const problems: string[] = []
  const lines = text.split('\n')
  if (lines[0] !== '# Changelog') problems.push('the first line is not "# Changelog"')
  const headings = lines.filter((line) => line.startsWith('## '))
  if (headings[0] !== '## [Unreleased]') problems.push('the first section is not "## [Unreleased]"')
  const releases = headings.slice(1)
  const shaped = /^## \[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}$/
  for (const heading of releases) if (!shaped.test(heading)) problems.push(`not a release with its date: ${heading}`)
  const dates = releases.map((heading) => heading.slice(-10))
  if (dates.some((date, index) => date > (dates[index - 1] ?? '9'))) problems.push('releases are not newest first')
  const kind = /^### (?:Added|Changed|Deprecated|Removed|Fixed|Security)$/
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('### ') && !kind.test(line)) problems.push(`line ${index + 1}: unknown kind of change: ${line}`)
    if (line.startsWith('### ') && !lines[index + 2]?.startsWith('- ')) problems.push(`line ${index + 1}: no entry`)
  }
  return problems
}
