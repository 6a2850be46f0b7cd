/** Fetches in a thread of its own, and then ends in a given way with transfers under way. */
import { parentPort, workerData } from 'node:worker_threads'
import { attachToNodeLoop, Multi, runPollLoop, Transfer } from '../../lib/index.ts'

const { url, end } = workerData as { url: string; end: string }
const multi = new Multi()
const transfer = new Transfer({ url: `${url}/bytes/5` })
multi.add(transfer)
runPollLoop(multi)
for (let i = 0; i < 5; i++) multi.add(new Transfer({ url: `${url}/hang` }))
multi.perform()
multi.poll(100)
multi.perform()
if (end !== 'stops') attachToNodeLoop(multi)
parentPort?.postMessage(`${transfer.info.bytesReceived} bytes`)
if (end === 'exits') setTimeout(() => process.exit(0), 20)
