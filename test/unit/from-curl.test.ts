import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { MultiCode, TransferCode } from '../../lib/index.ts'
import { isTypeScript, listSources, readText, root } from '../support/source-tree.ts'

const PAGE = 'docs/from-curl.md'
const INDEX = join(root, 'lib/index.ts')
/** Whose members a plain name may be. */
// biome-ignore format: a table
const PLAIN_OWNERS = [
  'TransferOptions', 'MultiOptions', 'CookieJarOptions', 'HstsStoreOptions', 'PartOptions', 'WebSocketOptions',
  'RequestOptions',
]
/** How the page calls an instance. */
const INSTANCES: Readonly<Record<string, string>> = { multi: 'Multi', transfer: 'Transfer', info: 'TransferInfo' }
/** Not the beginnings of names, as CURL_POLL_ with a star. */
const CURL_NAME = /\b(?:CURL[A-Z]*_[A-Z0-9_]*[A-Z0-9]|curl_[a-z_]*[a-z])\b(?!_)/g

interface Row {
  readonly curl: string
  readonly ours: readonly string[]
  readonly line: number
}

const text = readText(PAGE)
const rows = readRows(text)
const names = new Set(rows.flatMap(({ ours }) => ours.map((name) => name.split('.').pop() as string)))

/** The rows of tables; the middle column as the names in it, '—' as none. */
function readRows(page: string): Row[] {
  return page.split('\n').flatMap((line, index) => {
    const cells = line.split('|').map((cell) => cell.trim())
    if (!line.startsWith('| ') || cells[2] === 'ours') return []
    const [, curl = '', ours = ''] = cells
    const found = [...ours.matchAll(/`([^`]+)`/g)].map((match) => (match[1] as string).replace(/: .*$/, ''))
    return [{ curl, ours: found, line: index + 1 }]
  })
}

const program = ts.createProgram([INDEX], {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  allowImportingTsExtensions: true,
  noEmit: true,
  strict: true,
  skipLibCheck: true,
  types: ['node'],
})
const checker = program.getTypeChecker()
const index = checker.getSymbolAtLocation(program.getSourceFile(INDEX) as ts.SourceFile) as ts.Symbol
const publicNames = new Map(checker.getExportsOfModule(index).map((symbol) => [symbol.name, symbol]))

function typeNamed(name: string): ts.Type {
  const symbol = publicNames.get(name)
  if (symbol === undefined) throw new Error(`${name} is not public`)
  return checker.getDeclaredTypeOfSymbol(resolved(symbol))
}

function resolved(symbol: ts.Symbol): ts.Symbol {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
}

/** What is declared, without what is internal or private. */
function members(name: string): string[] {
  return checker
    .getPropertiesOfType(typeNamed(name))
    .filter((symbol) => !symbol.getJsDocTags(checker).some((tag) => tag.name === 'internal'))
    .map((symbol) => symbol.name)
    .filter((member) => /^[a-z]\w*$/i.test(member))
}

function memberOf(type: ts.Type, name: string): ts.Type | null {
  const parts = type.isUnion() ? type.types : [type]
  for (const part of parts) {
    const property = checker.getPropertyOfType(part, name)
    if (property !== undefined) return checker.getTypeOfSymbol(property)
  }
  return null
}

/** Where a path begins: an instance, something public, or an option. */
function beginnings(name: string): (ts.Type | null)[] {
  const instance = INSTANCES[name]
  if (instance !== undefined) return [typeNamed(instance)]
  const symbol = publicNames.get(name)
  if (symbol === undefined) return PLAIN_OWNERS.map((owner) => memberOf(typeNamed(owner), name))
  const actual = resolved(symbol)
  const declared = checker.getDeclaredTypeOfSymbol(actual)
  const isValue = (actual.flags & ts.SymbolFlags.Value) !== 0
  return isValue ? [declared, checker.getTypeOfSymbol(actual)] : [declared]
}

function exists(path: string): boolean {
  const [first = '', ...rest] = path.split('.')
  if (rest.length === 0 && (first in TransferCode || first in MultiCode)) return true
  return beginnings(first).some((type) => {
    let current = type
    for (const name of rest) current = current === null ? null : memberOf(current, name)
    return current !== null
  })
}

function missing(wanted: readonly string[]): string[] {
  return wanted.filter((name) => !names.has(name))
}

describe('the page for those who come from curl', () => {
  it('has every option of a transfer', () => {
    expect(members('TransferOptions').length).toBeGreaterThan(100)
    expect(missing(members('TransferOptions'))).toEqual([])
  })

  it('has every option and every method of a Multi', () => {
    expect(missing(members('MultiOptions'))).toEqual([])
    // What Node's conventions and loops need, and curl has no name for.
    const own = ['active', 'closed', 'clearWakeup', 'running']
    expect(missing(members('Multi').filter((name) => !own.includes(name)))).toEqual([])
  })

  it('has every field of info', () => {
    expect(missing(members('TransferInfo'))).toEqual([])
  })

  it("has every code, with curl's number", () => {
    const prefixes = { CURLE: TransferCode, CURLM: MultiCode }
    for (const [prefix, codes] of Object.entries(prefixes)) {
      for (const [name, number] of Object.entries(codes)) {
        expect(rows.some(({ curl, ours }) => curl === `${prefix}_${name} ${number}` && ours[0] === name)).toBe(true)
      }
    }
  })

  it('names nothing of ours that does not exist', () => {
    const offenders = rows.flatMap(({ ours, line }) =>
      ours.filter((name) => !exists(name)).map((name) => `${PAGE}:${line}: ${name}`),
    )
    expect(offenders).toEqual([])
  })

  it('gives a reason wherever there is nothing', () => {
    const rowsOfText = text.split('\n').filter((line) => line.startsWith('| ') && / \| — \| *\|$/.test(line))
    expect(rowsOfText).toEqual([])
  })

  it('has every name of curl that the sources speak of', () => {
    const sources = listSources().filter((file) => file.startsWith('lib/') && isTypeScript(file))
    const spoken = sources.flatMap((file) =>
      [...readFileSync(join(root, file), 'utf8').matchAll(CURL_NAME)].map((match) => match[0]),
    )
    const told = new Set(text.match(CURL_NAME))
    expect([...new Set(spoken)].filter((name) => !told.has(name)).sort()).toEqual([])
  })
})
