/** All benchmarks, in the order of the report. */
import type { Trial } from './trial.ts'
import { bulk } from './trials/bulk.ts'
import { clientConnect } from './trials/client-connect.ts'
import { clientKeepalive } from './trials/client-keepalive.ts'
import { echo } from './trials/echo.ts'
import { handshakes } from './trials/handshakes.ts'
import { idle } from './trials/idle.ts'
import { installSize } from './trials/install-size.ts'
import { latency } from './trials/latency.ts'
import { pending } from './trials/pending.ts'
import { readiness } from './trials/readiness.ts'
import { serverHello } from './trials/server-hello.ts'
import { startUp } from './trials/start-up.ts'
import { staticFile } from './trials/static-file.ts'
import { systemCalls } from './trials/system-calls.ts'
import { threads } from './trials/threads.ts'
import { timers } from './trials/timers.ts'

export const TRIALS: readonly Trial[] = [
  readiness,
  timers,
  clientKeepalive,
  clientConnect,
  pending,
  bulk,
  handshakes,
  serverHello,
  threads,
  latency,
  idle,
  echo,
  staticFile,
  systemCalls,
  startUp,
  installSize,
]
