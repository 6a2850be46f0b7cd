/**
 * What a test must not leave behind: descriptors that the addon owns, and descriptors of the process altogether. Where
 * there is no /proc, only the former are counted.
 */
import { readdirSync, readlinkSync } from 'node:fs'
import { afterAll, beforeAll, expect } from 'vitest'
import { ownedCount } from '../../lib/sys/native.ts'
import { isAlive, pause } from './child-server.ts'

const SETTLE_LIMIT_MS = 2000
const SETTLE_PAUSE_MS = 20

/** The open descriptors, as 'number target'. */
function openDescriptors(): string[] {
  let names: string[]
  try {
    names = readdirSync('/proc/self/fd')
  } catch {
    return []
  }
  return names.flatMap((name) => {
    try {
      return [`${name} ${readlinkSync(`/proc/self/fd/${name}`)}`]
    } catch {
      // The directory that was just listed.
      return []
    }
  })
}

/**
 * Call it first in a describe block: its hook runs last, after the servers of the block were stopped. `pids` are
 * processes that must be gone by then.
 */
export function expectNothingLeft(pids: () => readonly number[]): void {
  let owned = 0
  let open: string[] = []
  beforeAll(() => {
    owned = ownedCount()
    open = openDescriptors()
  })
  afterAll(async () => {
    const left = (): string[] => openDescriptors().filter((descriptor) => !open.includes(descriptor))
    const alive = (): number[] => pids().filter(isAlive)
    // Node closes the channels of children that ended a little later.
    const end = performance.now() + SETTLE_LIMIT_MS
    while ((left().length > 0 || alive().length > 0) && performance.now() < end) await pause(SETTLE_PAUSE_MS)
    expect(ownedCount()).toBe(owned)
    expect(left()).toEqual([])
    expect(alive()).toEqual([])
  })
}
