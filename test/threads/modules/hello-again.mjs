// What comes after hello.mjs.
import { threadId } from 'node:worker_threads'

export default () => ({ body: `second ${threadId}` })
