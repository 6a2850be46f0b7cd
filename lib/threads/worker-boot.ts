/** The entry of every thread that runs a server: everything else comes over the port that its owner gave it. */
import { workerData } from 'node:worker_threads'
import { HostedServer } from './hosted-server.ts'
import type { BootData } from './server-thread.ts'

new HostedServer((workerData as BootData).port)
