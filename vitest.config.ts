import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A process per file: a crash, a leaked descriptor or a collected object stays with the file that caused it.
    pool: 'forks',
    execArgv: ['--expose-gc'],
    // Turns on the checks of internal invariants.
    env: { SOCKMUX_DEBUG: '1' },
    testTimeout: 20_000,
    hookTimeout: 20_000,
    teardownTimeout: 20_000,
    retry: 0,
    allowOnly: false,
    // Examples and benchmarks name the package as users do: here they are tried on its sources.
    alias: { sockmux: fileURLToPath(new URL('lib/index.ts', import.meta.url)) },
  },
})
