/**
 * The subjects of a Multi in the order in which they were added; each knows its neighbours. Not a Set: V8 links every
 * table that a Set outgrew to the next one, so that after the first has grown old all later ones live on, with what was
 * in them, until the whole heap is collected.
 */
import { attachment, type Subject } from './subject.ts'

export class SubjectList {
  #first: Subject | null = null
  #last: Subject | null = null
  #size = 0

  get size(): number {
    return this.#size
  }

  add(subject: Subject): void {
    const place = subject[attachment]
    place.isListed = true
    place.previous = this.#last
    if (this.#last === null) this.#first = subject
    else this.#last[attachment].next = subject
    this.#last = subject
    this.#size++
  }

  /** False when it was not here. */
  delete(subject: Subject): boolean {
    const place = subject[attachment]
    if (!place.isListed) return false
    const { previous, next } = place
    if (previous === null) this.#first = next
    else previous[attachment].next = next
    if (next === null) this.#last = previous
    else next[attachment].previous = previous
    place.isListed = false
    place.previous = null
    place.next = null
    this.#size--
    return true
  }

  /** A copy. */
  all(): Subject[] {
    const subjects: Subject[] = []
    for (let subject = this.#first; subject !== null; subject = subject[attachment].next) subjects.push(subject)
    return subjects
  }
}
