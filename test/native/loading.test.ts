import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { addonPath } from '../../lib/sys/native.ts'

const NAME = 'SOCKMUX_ADDON'
const before = process.env[NAME]

afterEach(() => {
  if (before === undefined) delete process.env[NAME]
  else process.env[NAME] = before
})

function loadFrom(path: string): Promise<unknown> {
  process.env[NAME] = path
  vi.resetModules()
  return import('../../lib/sys/native.ts')
}

describe('the addon', () => {
  it('is found above the file that binds it', () => {
    delete process.env[NAME]
    expect(addonPath()).toMatch(/[/\\](?:build[/\\]Release|prebuilds[/\\][^/\\]+)[/\\]sockmux\.node$/)
    process.env[NAME] = ''
    expect(existsSync(addonPath())).toBe(true)
  })

  it('is taken from SOCKMUX_ADDON', async () => {
    expect(await loadFrom(addonPath())).toHaveProperty('kernel.recv')
  })

  it('that is missing is told with the way to build it', async () => {
    await expect(loadFrom('/nowhere/sockmux.node')).rejects.toThrow(/nowhere.*does not exist.*npm run build:native/)
  })

  it('that cannot be loaded is told with the reason', async () => {
    const notBinary = fileURLToPath(new URL('../../package.json', import.meta.url)).replace(/json$/, 'node')
    const other = fileURLToPath(new URL('../../scripts/test-asan.sh', import.meta.url))
    await expect(loadFrom(notBinary)).rejects.toThrow('does not exist')
    await expect(loadFrom(other)).rejects.toThrow(/could not be loaded: .*npm run build:native/s)
  })
})
