/** The page for a directory without index.html: directories first, then files, both by name. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { lookUp } from './serve-path.ts'
import type { ServeSettings } from './serve-settings.ts'
import { size } from './text.ts'

interface Entry {
  readonly name: string
  readonly isDirectory: boolean
  readonly bytes: number
  readonly changedAt: Date
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
/** What Node puts in the place of bytes that are no UTF-8: such a name cannot be asked for. */
const UNREADABLE = '\ufffd'

/** `segments` lead to it from the root. */
export function directoryListing(path: string, segments: readonly string[], settings: ServeSettings): string {
  const title = escaped(`Index of /${segments.map((segment) => `${segment}/`).join('')}`)
  const rows = entriesOf(path, settings).map(({ name, isDirectory, bytes, changedAt }) => {
    const slash = isDirectory ? '/' : ''
    const link = `<a href="./${encodeURIComponent(name)}${slash}">${escaped(name)}${slash}</a>`
    const changed = changedAt.toISOString().slice(0, 19).replace('T', ' ')
    return `<tr><td>${link}</td><td>${isDirectory ? '' : size(bytes)}</td><td>${changed}</td></tr>`
  })
  if (segments.length > 0) rows.unshift('<tr><td><a href="../">../</a></td><td></td><td></td></tr>')
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>body { font-family: monospace; margin: 2em } td { padding-right: 2em }</style>
</head>
<body>
<h1>${title}</h1>
<table>
${rows.join('\n')}
</table>
</body>
</html>
`
}

/** Only what would be answered: no hidden names, no links that lead out, nothing that is neither file nor directory. */
function entriesOf(path: string, settings: ServeSettings): Entry[] {
  const entries: Entry[] = []
  for (const name of readdirSync(path)) {
    if ((name.startsWith('.') && !settings.all) || name.includes(UNREADABLE)) continue
    const stats = lookUp(join(path, name), settings)
    if (typeof stats === 'number' || !(stats.isFile() || stats.isDirectory())) continue
    entries.push({ name, isDirectory: stats.isDirectory(), bytes: stats.size, changedAt: stats.mtime })
  }
  return entries.sort(compare)
}

function compare(one: Entry, other: Entry): number {
  if (one.isDirectory !== other.isDirectory) return one.isDirectory ? -1 : 1
  return one.name < other.name ? -1 : 1
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] as string)
}
