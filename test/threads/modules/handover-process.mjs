// One generation of a server that is handed over from process to process. Arguments: the path of the handover socket,
// where to listen (a port or a path, for the first one), its own name, which it answers, the kind of its loop, and what
// goes wrong: 'nothing', 'dies' (after it took the descriptors), 'silent' (never says that it is ready). Tells what
// happens in lines of JSON.
import {
  attachToNodeLoop,
  HttpServer,
  Interest,
  Multi,
  Poller,
  runPollLoop,
  SOCKET_TIMEOUT,
  serveHandover,
  takeOver,
} from '../../../dist/bundle/index.js'

const [path, where, name, loop, fault] = process.argv.slice(2)
const STEP_MS = 5

const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`)

function drive(multi) {
  if (loop === 'node') {
    attachToNodeLoop(multi)
    return
  }
  const step =
    loop === 'poll' ? () => runPollLoop(multi, { maxWaitMs: STEP_MS, until: passed(STEP_MS) }) : byHand(multi)
  const turn = () => {
    step()
    // Between two steps, so that promises and signals have their turn.
    setImmediate(turn)
  }
  turn()
}

function passed(ms) {
  const end = performance.now() + ms
  return () => performance.now() >= end
}

function byHand(multi) {
  const poller = new Poller()
  multi.setSocketFunction((fd, interest) => {
    if (interest === Interest.REMOVE) poller.remove(fd)
    else poller.modify(fd, interest)
  })
  return () => {
    const count = poller.wait(Math.min(STEP_MS, multi.timeout() < 0 ? STEP_MS : multi.timeout()))
    multi.socketActionBatch(poller.ready, count)
    multi.socketAction(SOCKET_TIMEOUT)
  }
}

const previous = takeOver({ path })
if (fault === 'dies') process.exit(0)
const listen = previous?.listen ?? [
  Number(where) > 0 ? { host: '127.0.0.1', port: Number(where), name: 'http' } : { path: where, name: 'http' },
]
const multi = new Multi()
const server = new HttpServer(multi, { listen, handler: () => ({ body: name }) })
server.start()
drive(multi)
tell({ listens: server.listeners.map((listener) => listener.name), took: previous !== null })
if (fault !== 'silent') {
  const handover = serveHandover(server, { path, previous, deadlineMs: 1000, drain: { deadlineMs: 5000 } })
  tell({ ready: true })
  process.once('SIGTERM', () => void server.stop())
  handover.done.then((report) => {
    tell({ done: report })
    process.exit(0)
  })
}
