/**
 * Prints the last line of .ci/run and sets its status: ci-total.mjs <vitest json report> [failed step…]
 * The step 'tests' counts by the tests of its report; any other step that failed counts as one failure.
 */
import { readFileSync } from 'node:fs'

const [file, ...failedSteps] = process.argv.slice(2)
const text = readFileSync(file, 'utf8')
const report = text === '' ? { numPassedTests: 0, numFailedTests: 0, testResults: [] } : JSON.parse(text)

// A file that cannot be loaded fails without a test of its own.
const broken = report.testResults.filter(
  (result) => result.status === 'failed' && result.assertionResults.every((test) => test.status !== 'failed'),
)
const failedTests = report.numFailedTests + broken.length
const otherFailures = failedSteps.filter((step) => step !== 'tests' || failedTests === 0)
const failed = failedTests + otherFailures.length

if (failedSteps.length > 0) console.log(`failed steps: ${failedSteps.join(', ')}`)
console.log(`${report.numPassedTests} passed, ${failed} failed`)
process.exitCode = failed === 0 && report.numPassedTests > 0 ? 0 : 1
