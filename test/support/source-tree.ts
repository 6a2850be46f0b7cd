/**
 * The repository as the style test sees it: its source files as text and as syntax trees, their imports and exports.
 * Read from the file system rather than from git, so that a file is judged before it is added.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as ts from 'typescript'

export const root: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

const TOP_DIRECTORIES = ['native', 'lib', 'test', 'bench', 'examples', 'scripts']
const NOT_SOURCES = new Set(['node_modules', 'results', 'report'])

export interface ImportEdge {
  /** The importing file, relative to the root. */
  readonly from: string
  /** The imported file relative to the root, or the name of a package. */
  readonly to: string
  /** Imported names; null when everything is taken (`import *`, `export *`, `import()`). */
  readonly names: readonly string[] | null
  readonly line: number
}

export interface ExportedName {
  readonly file: string
  readonly name: string
  readonly isType: boolean
  readonly line: number
}

/** All files below the source directories, relative to the root, with forward slashes. */
export function listSources(): string[] {
  const files = TOP_DIRECTORIES.flatMap((directory) => walk(directory))
  return [...files, 'vitest.config.ts', '.ci/run'].filter((file) => existsSync(join(root, file))).sort()
}

function walk(directory: string): string[] {
  if (!existsSync(join(root, directory))) return []
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(directory, entry.name)
    if (entry.isDirectory()) return NOT_SOURCES.has(entry.name) ? [] : walk(path)
    return entry.isFile() ? [path] : []
  })
}

export function readText(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

export function isTypeScript(file: string): boolean {
  return file.endsWith('.ts')
}

export function isCpp(file: string): boolean {
  return /\.(?:cc|h)$/.test(file)
}

const trees = new Map<string, ts.SourceFile>()

export function parse(file: string): ts.SourceFile {
  let tree = trees.get(file)
  if (tree === undefined) {
    tree = ts.createSourceFile(file, readText(file), ts.ScriptTarget.ES2023, true)
    trees.set(file, tree)
  }
  return tree
}

export function visit(node: ts.Node, each: (node: ts.Node) => void): void {
  each(node)
  ts.forEachChild(node, (child) => visit(child, each))
}

export function lineOf(tree: ts.SourceFile, position: number): number {
  return tree.getLineAndCharacterOfPosition(position).line + 1
}

/** The text with comments blanked out, lines kept, so that prose may name what code may not use. */
export function readCode(file: string): string {
  const text = readText(file)
  if (!isTypeScript(file)) return text
  const tree = parse(file)
  const spans = new Map<number, number>()
  visitTokens(tree, tree, (token) => {
    for (const span of ts.getLeadingCommentRanges(text, token.getFullStart()) ?? []) spans.set(span.pos, span.end)
    for (const span of ts.getTrailingCommentRanges(text, token.getEnd()) ?? []) spans.set(span.pos, span.end)
  })
  let code = text
  for (const [start, end] of spans) {
    code = code.slice(0, start) + code.slice(start, end).replace(/[^\n]/g, ' ') + code.slice(end)
  }
  return code
}

function visitTokens(tree: ts.SourceFile, node: ts.Node, each: (token: ts.Node) => void): void {
  const children = node.getChildren(tree)
  if (children.length === 0) each(node)
  for (const child of children) visitTokens(tree, child, each)
}

/** Imports and re-exports of a file, those of types included. */
export function listImports(file: string): ImportEdge[] {
  const tree = parse(file)
  const edges: ImportEdge[] = []
  const push = (specifier: ts.Node, names: readonly string[] | null): void => {
    if (!ts.isStringLiteralLike(specifier)) return
    const isRelative = specifier.text.startsWith('.')
    const to = isRelative ? posix.join(posix.dirname(file), specifier.text) : specifier.text
    edges.push({ from: file, to, names, line: lineOf(tree, specifier.getStart()) })
  }
  visit(tree, (node) => {
    if (ts.isImportDeclaration(node)) push(node.moduleSpecifier, importedNames(node))
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier) push(node.moduleSpecifier, reexportedNames(node))
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) push(node.argument.literal, null)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword && node.arguments[0])
      push(node.arguments[0], null)
  })
  return edges
}

function importedNames(node: ts.ImportDeclaration): string[] | null {
  const bindings = node.importClause?.namedBindings
  if (bindings === undefined) return node.importClause?.name ? ['default'] : []
  if (ts.isNamespaceImport(bindings)) return null
  return bindings.elements.map((element) => (element.propertyName ?? element.name).text)
}

function reexportedNames(node: ts.ExportDeclaration): string[] | null {
  if (node.exportClause === undefined || ts.isNamespaceExport(node.exportClause)) return null
  return node.exportClause.elements.map((element) => (element.propertyName ?? element.name).text)
}

/** Names that a file declares and exports itself. */
export function listExports(file: string): ExportedName[] {
  const tree = parse(file)
  return tree.statements.flatMap((statement) => {
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : []
    if (!modifiers.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword)) return []
    const line = lineOf(tree, statement.getStart())
    const isType = ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)
    if (ts.isVariableStatement(statement)) {
      const names = statement.declarationList.declarations.map((declaration) => declaration.name.getText(tree))
      return names.map((name) => ({ file, name, isType: false, line }))
    }
    const name = (statement as ts.Statement & { name?: ts.Identifier }).name?.text
    return name === undefined ? [] : [{ file, name, isType, line }]
  })
}
