import { join } from 'node:path'
import * as ts from 'typescript'
import { expect, it } from 'vitest'
import { root } from '../support/source-tree.ts'

const FILES = ['test/types/public-api.ts', 'test/types/client-api.ts']

it.each(FILES)('accepts and refuses what %s says', { timeout: 60_000 }, (file) => {
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent({ ...config.config, include: [file] }, ts.sys, root)
  const program = ts.createProgram([join(root, file)], { ...options, noEmit: true })
  const found = ts.getPreEmitDiagnostics(program, program.getSourceFile(join(root, file)))
  const problems = found.map(({ file: source, start, messageText }) => {
    const line = source === undefined ? 0 : source.getLineAndCharacterOfPosition(start ?? 0).line + 1
    return `${file}:${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
  expect(problems).toEqual([])
})
