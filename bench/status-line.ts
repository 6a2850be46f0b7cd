/** What is being measured now, on a terminal, on stderr; on anything else nothing. */
export function showStatus(text: string): void {
  if (!process.stderr.isTTY) return
  process.stderr.cursorTo(0)
  process.stderr.clearLine(0)
  process.stderr.write(text)
}
