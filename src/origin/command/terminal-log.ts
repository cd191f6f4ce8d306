import { binarySize, printable } from '../../cli/terminal/format.ts'
import type { LogFields, Logger } from '../../core/runtime.ts'
import type { LogLevel } from '../logger.ts'

export interface TerminalLogOptions {
  readonly level: LogLevel
  readonly write: (line: string) => void
  /** The time of day, as it stands before each line. */
  readonly time: () => string
}

const ORDER = ['debug', 'info', 'warn', 'error', 'silent'] as const

/** Texts for the events of start and shutdown; other events are shown by name. */
const SENTENCES: Readonly<Record<string, (fields: LogFields) => string>> = {
  packed: ({ model }) => String(model),
  provider_refused: ({ provider, reason }) => `${String(provider)} is not used here: ${String(reason)}`,
  engine_process_ended: ({ reason }) => `The engine's process ended (${String(reason)})`,
  origin_listening: ({ host, port, adminPort }) =>
    `Listening on http://${String(host)}:${String(port)} (health and metrics on port ${String(adminPort)}); not ready yet`,
  engine_process_started: ({ provider }) => `Engine started: ${String(provider ?? 'no provider')}`,
  engine: ({ ok, engine, version, provider }) =>
    ok ? `Engine ${String(engine)} ${String(version)} runs on ${String(provider)}` : 'The engine does not work',
  catalogue_read: ({ models }) => `Read the catalogue: ${String(models)} models`,
  catalogue_unread: () => 'The catalogue cannot be read. Trying again',
  preloaded: ({ model }) => `Loaded ${String(model)}`,
  origin_ready: () => 'Ready for requests. Press Ctrl-C to stop.',
  origin_announced: () => 'The Worker knows that this origin is ready',
  origin_draining: () => 'Shutting down: finishing requests in progress',
  origin_stopped: ({ finished }) => (finished ? 'Ended' : 'Stopped. Requests that took too long were cancelled'),
  cache_disk_full: ({ free }) =>
    `The disk of the cache is full (${binarySize(Number(free))} free): models outside the cache cannot be loaded. Free some space, or choose another folder: --cache DIR`,
  cache_disk_small: ({ free, used, budget }) =>
    `The disk of the cache has less room than --cache-gb allows: ${binarySize(Number(free))} free beside ${binarySize(Number(used))}, of ${binarySize(Number(budget))}`,
  cache_dropped: ({ bytes: size }) => `Dropped ${binarySize(Number(size))} from the cache, which was full`,
  source_away: ({ store }) => `${String(store)} does not answer; the last good copy of the catalogue is used`,
  source_back: ({ store }) => `${String(store)} answers again`,
}

/** A line for a person for each event, where a machine would get JSON. Errors are shown by their messages. */
export function terminalLogger({ level, write, time }: TerminalLogOptions): Logger {
  const log =
    (of: Exclude<LogLevel, 'silent' | 'debug'>) =>
    (event: string, fields: LogFields = {}): void => {
      if (ORDER.indexOf(of) < ORDER.indexOf(level)) return
      const mark = of === 'info' ? '' : `${of}: `
      write(`${time()}  ${mark}${textOf(event, fields)}`)
    }
  return { info: log('info'), warn: log('warn'), error: log('error') }
}

function textOf(event: string, fields: LogFields): string {
  const sentence = Object.hasOwn(SENTENCES, event) ? SENTENCES[event]?.(fields) : undefined
  const reason = reasonOf(fields.error)
  if (sentence !== undefined) return printable(reason === undefined ? sentence : `${sentence} (${reason})`)
  const rest = Object.entries(fields).flatMap(([name, value]) =>
    name === 'error' || value === undefined
      ? []
      : [`${name}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`],
  )
  const name = event.replaceAll('_', ' ')
  return printable([name, ...rest, ...(reason === undefined ? [] : [`(${reason})`])].join(' '))
}

/** The innermost message says most. */
function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return error === undefined ? undefined : String(error)
  let last = error
  for (let depth = 0; depth < 8 && last.cause instanceof Error; depth++) last = last.cause
  return last === error ? error.message : `${error.message} ${last.message}`
}
