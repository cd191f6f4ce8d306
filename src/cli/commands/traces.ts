import { systemClock } from '../../core/runtime.ts'
import { defineCommand } from '../command.ts'
import { UsageError } from '../terminal/command-line.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import { startReceiver } from '../traces/receiver.ts'
import { TraceBook } from '../traces/trace-book.ts'
import { renderTrace } from '../traces/tree.ts'

/** Where collectors of OTLP/HTTP listen. */
const DEFAULT_PORT = 4318
/** Workers and origins send what they have every two seconds. */
const QUIET_MS = 3_000
const LOOK_MS = 250

const OPTIONS = {
  port: { type: 'string', value: 'N', help: `port to listen on (default: ${DEFAULT_PORT})` },
  count: { type: 'string', value: 'N', help: 'end after so many traces (default: never)' },
  json: { type: 'boolean', help: 'print JSON: a line for each trace' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Shows traces of Workers and origins on this machine, each as a tree with durations. Press Ctrl-C to stop.

Usage: npx verge traces [options]

${helpOf(OPTIONS)}

It receives OTLP/HTTP in JSON on the loopback address. In other terminals:
  npm start -- --traces http://127.0.0.1:${DEFAULT_PORT}
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:${DEFAULT_PORT} npm run origin`

export const tracesCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: [],
  async run({ values }) {
    const port = wholeNumber('port', values.port ?? String(DEFAULT_PORT), 0, 65_535)
    const most = values.count === undefined ? Number.POSITIVE_INFINITY : wholeNumber('count', values.count, 1, 1e6)
    const signal = untilInterrupted()
    const book = new TraceBook(QUIET_MS)
    const receiver = await startReceiver(port, (spans) => book.add(spans, systemClock.now())).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EADDRINUSE') throw error
        throw new UsageError(`Port ${port} is in use. Choose another port: --port ${port + 1}`)
      },
    )
    if (!values.json) console.log(waiting(`http://127.0.0.1:${receiver.port}`))
    try {
      for (let shown = 0; shown < most; ) {
        for (const trace of book.settled(systemClock.now())) {
          console.log(values.json ? JSON.stringify(trace, writable) : `${renderTrace(trace)}\n`)
          if (!trace.again && ++shown >= most) break
        }
        if (shown < most) await systemClock.sleep(LOOK_MS, signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      await receiver.close()
    }
    return undefined
  },
})

function waiting(url: string): string {
  return `Waiting for traces at ${url}. To send those of a Worker: npm start -- --traces ${url}\n`
}

/** Nanoseconds as text: a number of JSON has 53 bits. */
function writable(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

/** @throws UsageError */
function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && value <= most) return value
  throw new UsageError(`--${name} must be a whole number from ${least} to ${most}.`)
}
