/**
 * A program on a pseudo terminal, by the `pty` module of Python: what it draws comes as text, and what is typed, Ctrl-C
 * for instance, goes through the terminal to its process group.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'

const RUN_MS_MAX = 20_000
const WAIT_MS = 10

/** Relays until the program ends, and ends as it did. */
const RELAY = `
import fcntl, os, pty, select, struct, sys, termios
rows, columns = int(sys.argv[1]), int(sys.argv[2])
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
    os.execvp(sys.argv[3], sys.argv[3:])
watched = [terminal, 0]
while True:
    ready = select.select(watched, [], [])[0]
    if 0 in ready:
        typed = os.read(0, 1024)
        if typed: os.write(terminal, typed)
        else: watched.remove(0)
    if terminal in ready:
        try: drawn = os.read(terminal, 65536)
        except OSError: break
        if not drawn: break
        os.write(1, drawn)
status = os.waitpid(pid, 0)[1]
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
`

export interface TerminalOptions {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  readonly rows?: number
  readonly columns?: number
}

export class PseudoTerminal {
  /** All that was drawn so far, escapes included. */
  text = ''
  readonly #child: ChildProcessWithoutNullStreams
  readonly #closed: Promise<unknown[]>

  constructor(command: readonly string[], { cwd, env, rows = 24, columns = 80 }: TerminalOptions) {
    this.#child = spawn('python3', ['-c', RELAY, String(rows), String(columns), ...command], { cwd, env })
    this.#closed = once(this.#child, 'close')
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.text += text))
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.text += text))
  }

  type(keys: string): void {
    this.#child.stdin.write(keys)
  }

  /** Until what was drawn matches. */
  async until(pattern: RegExp): Promise<void> {
    const giveUpAt = performance.now() + RUN_MS_MAX
    while (!pattern.test(this.text)) {
      if (performance.now() > giveUpAt || this.#child.exitCode !== null) throw new Error(`never drawn: ${this.text}`)
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS))
    }
  }

  /** Its status, once it has ended. */
  async end(): Promise<number | null> {
    const timer = setTimeout(() => this.kill(), RUN_MS_MAX)
    await this.#closed
    clearTimeout(timer)
    return this.#child.exitCode
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
