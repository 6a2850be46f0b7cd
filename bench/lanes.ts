/** So many calls under way at any time, for clients whose answers are promises. */

/** `total` calls of `one`, `parallel` at any time; how many failed. */
export async function keepGoing(total: number, parallel: number, one: () => Promise<boolean>): Promise<number> {
  let started = 0
  let failed = 0
  const lane = async (): Promise<void> => {
    while (started < total) {
      started++
      if (!(await one())) failed++
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, total) }, lane))
  return failed
}
