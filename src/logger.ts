import { errorFields } from './core/error-fields.ts'
import type { LogFields, Logger } from './core/runtime.ts'

/** One JSON object a line, which Workers Logs indexes by field. */
export const consoleLogger: Logger = {
  info: (event, fields) => console.log(line('info', event, fields)),
  warn: (event, fields) => console.warn(line('warn', event, fields)),
  error: (event, fields) => console.error(line('error', event, fields)),
}

function line(level: string, event: string, fields: LogFields = {}): string {
  return JSON.stringify({ level, event, ...fields }, (_, value: unknown) => errorFields(value))
}
