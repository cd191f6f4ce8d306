import { type DestinationStream, pino } from 'pino'
import type { LogFields, Logger } from '../core/runtime.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Errors keep what Node does not print of them as JSON: their message, code, stack and cause. */
const MOST_CAUSES = 4

/** One JSON object a line, with the time, the level and the event. @param to standard output if left out */
export function jsonLogger(level: LogLevel, to?: DestinationStream): Logger {
  const options = {
    level,
    base: null,
    messageKey: 'event',
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  const log = to === undefined ? pino(options) : pino(options, to)
  return {
    info: (event, fields) => log.info(plain(fields), event),
    warn: (event, fields) => log.warn(plain(fields), event),
    error: (event, fields) => log.error(plain(fields), event),
  }
}

function plain(fields: LogFields = {}): LogFields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, described(value, 0)]))
}

function described(value: unknown, depth: number): unknown {
  if (!(value instanceof Error)) return value
  const { name, message, stack, cause } = value
  const { code } = value as NodeJS.ErrnoException
  return {
    name,
    ...(code !== undefined && { code }),
    message,
    stack,
    ...(cause !== undefined && depth < MOST_CAUSES && { cause: described(cause, depth + 1) }),
  }
}
