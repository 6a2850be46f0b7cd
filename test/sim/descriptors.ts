/**
 * The descriptor table: small integers, reused at once. 'lowest' gives the lowest free number, as Unix does; 'latest'
 * gives the number closed last, which is the most misleading one. Generations tell two lives of a number apart.
 */
import type { OpenFile } from './open-file.ts'

export type DescriptorReuse = 'lowest' | 'latest'

/** Verbs reach only what is owned; foreign ones can be adopted, internal ones belong to a collaborator. */
export type Ownership = 'owned' | 'foreign' | 'internal' | 'offered'

const FIRST = 3

export class DescriptorTable {
  limit: number
  readonly #reuse: DescriptorReuse
  readonly #files: (OpenFile | null)[] = [null, null, null]
  readonly #generations: number[] = [0, 0, 0]
  readonly #ownerships: Ownership[] = ['foreign', 'foreign', 'foreign']
  readonly #free: number[] = []
  #open = 0

  constructor(reuse: DescriptorReuse, limit: number) {
    this.#reuse = reuse
    this.limit = limit
  }

  get openCount(): number {
    return this.#open
  }

  get isFull(): boolean {
    return this.#open >= this.limit
  }

  file(fd: number): OpenFile | null {
    return this.#files[fd] ?? null
  }

  /** Null as well when it is open and not owned. */
  owned(fd: number): OpenFile | null {
    return this.#ownerships[fd] === 'owned' ? this.file(fd) : null
  }

  ownership(fd: number): Ownership | null {
    return this.file(fd) === null ? null : (this.#ownerships[fd] as Ownership)
  }

  adopt(fd: number): void {
    this.#ownerships[fd] = 'owned'
  }

  offer(fd: number): void {
    this.#ownerships[fd] = 'offered'
  }

  /** Whoever takes it begins another life of the number. */
  take(fd: number): number {
    this.#ownerships[fd] = 'owned'
    this.#generations[fd] = (this.#generations[fd] as number) + 1
    return this.#generations[fd] as number
  }

  disown(fd: number): void {
    this.#ownerships[fd] = 'foreign'
  }

  /** Of the present life of this number; 0 when it is closed. */
  generation(fd: number): number {
    return this.file(fd) === null ? 0 : (this.#generations[fd] as number)
  }

  /** True when this number was ever handed out. */
  wasOpen(fd: number): boolean {
    return (this.#generations[fd] ?? 0) > 0
  }

  open(file: OpenFile, ownership: Ownership = 'owned'): number {
    const fd = this.#take()
    this.#ownerships[fd] = ownership
    this.#files[fd] = file
    this.#generations[fd] = (this.#generations[fd] ?? 0) + 1
    this.#open++
    return fd
  }

  close(fd: number): OpenFile | null {
    const file = this.file(fd)
    if (file === null) return null
    this.#files[fd] = null
    this.#free.push(fd)
    this.#open--
    return file
  }

  openList(): number[] {
    const list: number[] = []
    for (let fd = FIRST; fd < this.#files.length; fd++) if (this.#files[fd]) list.push(fd)
    return list
  }

  #take(): number {
    const free = this.#free
    if (free.length === 0) return Math.max(FIRST, this.#files.length)
    if (this.#reuse === 'latest') return free.pop() as number
    let lowest = 0
    for (let i = 1; i < free.length; i++) if ((free[i] as number) < (free[lowest] as number)) lowest = i
    return free.splice(lowest, 1)[0] as number
  }
}
