import { describe, expect, it } from 'vitest'
import { type PanicError, report, setPanicHandler } from '../../../lib/server/panic.ts'

describe('what was dealt with and nobody listens to', () => {
  it('is a warning of the process, with its place and its stack', async () => {
    const warning = new Promise<Error>((resolve) => process.once('warning', resolve))
    report('handler', new Error('broken'))
    const { name, message } = await warning
    expect(name).toBe('PanicError')
    expect(message).toContain('handler: broken')
    expect(message).toContain('panic.test.ts')
  })

  it('goes to the panic handler when there is one', () => {
    const heard: PanicError[] = []
    const previous = setPanicHandler((error) => heard.push(error))
    report('handler', new Error('broken'))
    setPanicHandler(previous)
    expect(heard.map((error) => `${error.operation} ${(error.cause as Error).message}`)).toEqual(['handler broken'])
  })
})
