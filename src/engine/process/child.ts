/** The process in which models run, started by `ProcessEngine`. It ends with its parent. */
import { Worker } from 'node:worker_threads'
import { type Logger, systemClock } from '../../core/runtime.ts'
import { NativeEngine } from '../native/engine.ts'
import { EngineHost } from './host.ts'
import type { ChildOptions, FromChild, Request, SentError, ToChild } from './protocol.ts'
import { sendError } from './protocol.ts'

let host: EngineHost | undefined

function send(message: FromChild): void {
  // If the parent is gone, the channel is gone too, and there is no receiver.
  process.send?.(message, undefined, undefined, () => {})
}

const logger: Logger = {
  info: (event, fields = {}) => send({ kind: 'log', level: 'info', event, fields }),
  warn: (event, fields = {}) => send({ kind: 'log', level: 'warn', event, fields }),
  error: (event, fields = {}) => send({ kind: 'log', level: 'error', event, fields }),
}

process.on('message', (message: ToChild) => {
  if ('id' in message) void answer(message.id, message)
  else host?.notice(message)
})

process.on('disconnect', () => process.exit())

// A terminal sends these signals to all its processes, but work in progress must finish while the parent drains.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

// While a model runs, this thread hears nothing of its parent's end; another must look out for it.
new Worker(new URL('./parent-watchdog.ts', import.meta.url), { workerData: process.ppid }).unref()

async function answer(id: number, request: Request): Promise<void> {
  try {
    const value = request.kind === 'start' ? await start(request.options) : await started().answer(request)
    send({ kind: 'answer', id, value, residentBytes: process.memoryUsage.rss() })
  } catch (error) {
    const sent: SentError = sendError(error)
    send({ kind: 'failure', id, error: sent, residentBytes: process.memoryUsage.rss() })
  }
}

async function start(options: ChildOptions): Promise<unknown> {
  const engine = new NativeEngine({
    ...options,
    clock: systemClock,
    logger,
    onTrial: (provider) => send({ kind: 'trial', provider }),
  })
  host = new EngineHost(engine)
  return engine.health()
}

function started(): EngineHost {
  if (host === undefined) throw new Error('The engine got a request before it was started.')
  return host
}
