/**
 * Hosts that want TLS as lines of curl's format: the host, with a dot in front when its subdomains want it too, and in
 * quotes until when, in UTC, or "unlimited". Lines that are none of this are passed over, as curl does.
 */

export interface HstsEntry {
  readonly host: string
  readonly includeSubDomains: boolean
  /** null: for ever. */
  readonly expires: Date | null
}

const HEADER = '# Hosts that want HTTPS (HSTS), one per line, as sockmux and curl read and write them.\n\n'
const LINE = /^[ \t]*(\.?)([^\s".#][^\s"]*)[ \t]+"(?:(unlimited)|(\d{4})(\d\d)(\d\d) (\d\d?):(\d\d?):(\d\d?))"/

export function parseHstsFile(text: string): HstsEntry[] {
  const entries: HstsEntry[] = []
  for (const line of text.split(/\r?\n/)) {
    const found = LINE.exec(line)
    if (found === null) continue
    const [, dot, host = '', unlimited, ...numbers] = found
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = numbers.map(Number)
    const expires = unlimited === undefined ? new Date(Date.UTC(year, month - 1, day, hour, minute, second)) : null
    entries.push({ host, includeSubDomains: dot !== '', expires })
  }
  return entries
}

export function formatHstsFile(entries: Iterable<HstsEntry>): string {
  let text = HEADER
  for (const { host, includeSubDomains, expires } of entries) {
    text += `${includeSubDomains ? '.' : ''}${host} "${expires === null ? 'unlimited' : timeText(expires)}"\n`
  }
  return text
}

/** '20300131 10:20:30' */
function timeText(time: Date): string {
  return time.toISOString().replace(/^(\d+)-(\d+)-(\d+)T(.*)\..*$/, '$1$2$3 $4')
}
