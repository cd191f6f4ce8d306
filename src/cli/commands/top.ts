import { defineCommand } from '../command.ts'
import { Visitor } from '../doctor/visitor.ts'
import { API_KEY } from '../push/setup.ts'
import { ADDRESS_OPTIONS, workerAddress } from '../target/worker-address.ts'
import { untilInterrupted } from '../terminal/interrupt.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import { numberIn, oneOf } from '../terminal/values.ts'
import { askOperations } from '../top/ask.ts'
import { showLive } from '../top/live.ts'
import { SORTS } from '../top/rates.ts'
import { viewOf } from '../top/view.ts'

/** An isolate keeps what it has read of the traffic for as long. */
const EVERY_SECONDS = 2

const OPTIONS = {
  sort: { type: 'string', value: 'KEY', choices: SORTS, help: `models by ${SORTS.join(', ')} (default: requests)` },
  every: { type: 'string', value: 'SECONDS', help: `between two looks (default: ${EVERY_SECONDS})` },
  once: { type: 'boolean', help: 'print one look in full, and end; so does output that is not a terminal' },
  json: { type: 'boolean', help: 'print one answer of the Worker as JSON, and end' },
  ...ADDRESS_OPTIONS,
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Shows all isolates of a Worker together: health and alerts, traffic, models and canaries, cost, callers, origins, and
recent changes. Asks again every two seconds until q or Ctrl-C. docs/operate.md explains the figures.
With --once and --json the exit code is 1 if the health is critical.

Usage: npx verge top [options]

${helpOf(OPTIONS)}

Keys: q ends; r, e, u, l, c and n sort by requests, errors, units, latency, cost and name.

Examples:
  npx verge top
  npx verge top --env production --sort errors
  npx verge top --once
  npx verge top --json --url https://verge.example.workers.dev

Environment: ${API_KEY}, the operator's key, or a key that allows "metrics" for all models; with --env of a Worker without a custom
domain also CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID. NO_COLOR turns colours off.`

/** Of output that is not a terminal. */
const PRINTED_COLUMNS = 120

export const topCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  operands: [],
  async run({ values }) {
    const sort = oneOf(values, 'sort', SORTS) ?? 'requests'
    const every = numberIn(values, 'every', 1, 3600) ?? EVERY_SECONDS
    const visitor = new Visitor(await workerAddress(values), process.env[API_KEY] || undefined)
    const signal = untilInterrupted()
    const { stdin, stdout } = process
    const isTerminal = stdout.isTTY === true && process.env.TERM !== 'dumb'
    const colour = isTerminal && !process.env.NO_COLOR
    const address = visitor.origin
    if (values.json || values.once || !isTerminal) {
      const body = await askOperations(visitor, signal)
      if (body.health === 'critical') process.exitCode = 1
      if (values.json) return JSON.stringify(body, null, 2)
      const columns = stdout.columns || PRINTED_COLUMNS
      return viewOf(body, { columns, rows: Number.POSITIVE_INFINITY, colour, sort, address, keys: false }).join('\n')
    }
    await showLive({
      terminal: { input: stdin, output: stdout },
      ask: (until) => askOperations(visitor, until),
      address,
      colour,
      sort,
      everyMs: every * 1000,
      signal,
    })
    return undefined
  },
})
