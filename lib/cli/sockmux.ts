#!/usr/bin/env node
/** The executable: `sockmux COMMAND …`. Output that nobody reads any more is no failure of ours. */
import { runCommandLine } from './command-line.ts'

// The reader went away, as `head` does. What writes a body to it finds out by itself.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})

process.exitCode = await runCommandLine(process.argv.slice(2))
