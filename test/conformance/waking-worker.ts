/** Wakes the Multi of another thread after a moment. */
import { parentPort, workerData } from 'node:worker_threads'
import { kernel, type Waker } from '../../lib/index.ts'

const { fd, generation } = workerData as Waker
parentPort?.postMessage('ready')
setTimeout(() => kernel.wake(fd, generation), 30)
