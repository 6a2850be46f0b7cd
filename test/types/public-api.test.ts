import { join } from 'node:path'
import * as ts from 'typescript'
import { expect, it } from 'vitest'
import { root } from '../support/source-tree.ts'

const FILE = 'test/types/public-api.ts'

it('accepts and refuses what the public API says', { timeout: 60_000 }, () => {
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent({ ...config.config, include: [FILE] }, ts.sys, root)
  const program = ts.createProgram([join(root, FILE)], { ...options, noEmit: true })
  const found = ts.getPreEmitDiagnostics(program, program.getSourceFile(join(root, FILE)))
  const problems = found.map(({ file, start, messageText }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line + 1
    return `${FILE}:${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
  expect(problems).toEqual([])
})
