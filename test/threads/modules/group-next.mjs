// What comes after group.mjs.
import { threadId } from 'node:worker_threads'

export const handler = () => ({ body: `two ${threadId}` })
