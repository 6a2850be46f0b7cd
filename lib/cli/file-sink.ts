/**
 * A body in a file. It grows as NAME.part and gets its name when it is whole, so that a file with that name is a whole
 * one; nothing that exists is replaced unless `force`. With `resume` a part goes on, and so does a file of that name,
 * in place. Devices are written as they are.
 */
import {
  closeSync,
  constants,
  fstatSync,
  futimesSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import type { BodySink } from './body-sink.ts'
import { DownloadError, writeError } from './download-error.ts'

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants
const PART_SUFFIX = '.part'

/** What is written to: a part that is renamed, the file itself behind what it has, or a device. */
type Kind = 'part' | 'whole' | 'device'

export interface FileSinkOptions {
  readonly force: boolean
  readonly resume: boolean
}

export class FileSink implements BodySink {
  readonly path: string
  size = 0
  changedAt: Date | null = null
  readonly #options: FileSinkOptions
  #kind: Kind = 'part'
  #fd = -1

  constructor(path: string, options: FileSinkOptions) {
    this.path = path
    this.#options = options
  }

  get canRestart(): boolean {
    return this.#kind === 'part' || (this.#kind === 'device' && this.size === 0)
  }

  prepare(): void {
    const { force, resume } = this.#options
    try {
      makeDirectory(dirname(this.path))
    } catch (error) {
      throw writeError(dirname(this.path), error)
    }
    const present = this.#look(this.path)
    if (present?.isDirectory()) throw new DownloadError('WRITE_ERROR', `${this.path}: is a directory`)
    if (present?.isCharacterDevice()) {
      this.#kind = 'device'
      return
    }
    if (present !== null && !present.isFile())
      throw new DownloadError('WRITE_ERROR', `${this.path}: is no regular file`)
    if (present !== null && !force && !resume) {
      throw new DownloadError(
        'WRITE_ERROR',
        `${this.path}: exists already; --force replaces it, --continue completes it`,
      )
    }
    if (present !== null && !force) this.#kind = 'whole'
    const begun = this.#kind === 'whole' ? present : resume ? this.#look(this.#target()) : null
    if (begun === null) return
    this.size = begun.size
    this.changedAt = begun.mtime
  }

  write(chunk: Uint8Array): boolean {
    if (this.#fd < 0) this.#open()
    try {
      for (let at = 0; at < chunk.length; ) {
        const written = writeSync(this.#fd, chunk, at, chunk.length - at)
        at += written
        this.size += written
      }
    } catch (error) {
      throw writeError(this.#target(), error)
    }
    return true
  }

  restart(): void {
    this.close()
    this.size = 0
    this.changedAt = null
  }

  note(changedAt: Date): void {
    this.changedAt = changedAt
  }

  complete(): void {
    if (this.#fd < 0 && this.size === 0) this.#open()
    this.close()
    if (this.#kind !== 'part') return
    try {
      if (this.#options.force) renameSync(this.#target(), this.path)
      else nameUnlessTaken(this.#target(), this.path)
    } catch (error) {
      throw writeError(this.path, error)
    }
  }

  close(): void {
    if (this.#fd < 0) return
    const fd = this.#fd
    this.#fd = -1
    try {
      // What resumes asks whether it was changed since.
      if (this.changedAt !== null && this.#kind !== 'device') futimesSync(fd, this.changedAt, this.changedAt)
    } catch {
      // A file of somebody else: its time is its owner's.
    }
    try {
      closeSync(fd)
    } catch (error) {
      throw writeError(this.#target(), error)
    }
  }

  #target(): string {
    return this.#kind === 'part' ? `${this.path}${PART_SUFFIX}` : this.path
  }

  #open(): void {
    const begin = this.size > 0 ? O_APPEND : O_CREAT | O_TRUNC
    // A part is ours alone: who put a link there would have us write elsewhere, who put a pipe there, wait for ever.
    const flags = this.#kind === 'part' ? begin | O_NOFOLLOW | O_NONBLOCK : this.#kind === 'device' ? 0 : begin
    try {
      this.#fd = openSync(this.#target(), O_WRONLY | flags, 0o666)
      if (this.#kind === 'part' && !fstatSync(this.#fd).isFile()) throw new Error('is no regular file')
    } catch (error) {
      throw writeError(this.#target(), error)
    }
  }

  #look(path: string): Stats | null {
    try {
      return statSync(path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw writeError(path, error)
    }
  }
}

/** With those above it. Node's own way never ends where the system says that nothing is there, as in /proc. */
function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return
  const parent = dirname(path)
  if (parent !== path) makeDirectory(parent)
  try {
    mkdirSync(path)
  } catch (error) {
    // Somebody else was faster.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error
  }
}

/** A link, since a rename replaces; where there are no links, look first. */
function nameUnlessTaken(part: string, path: string): void {
  try {
    linkSync(part, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error
    if (statSync(path, { throwIfNoEntry: false }) !== undefined) throw new Error('exists already')
    renameSync(part, path)
    return
  }
  unlinkSync(part)
}
