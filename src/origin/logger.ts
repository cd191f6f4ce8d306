import { type DestinationStream, pino } from 'pino'
import { errorFields } from '../core/errors.ts'
import type { LogFields, Logger } from '../core/runtime.ts'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

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
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, errorFields(value)]))
}
