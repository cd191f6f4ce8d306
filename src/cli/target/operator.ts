import { userInfo } from 'node:os'
import { OPERATOR_NAME } from '../../audit/entry.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { Options } from '../terminal/options.ts'

const VARIABLE = 'VERGE_OPERATOR'

/** For commands that change something. */
export const OPERATOR_OPTION = {
  by: {
    type: 'string',
    value: 'NAME',
    help: `who makes the change, for the audit log (default: ${VARIABLE}, or your user name)`,
  },
} as const satisfies Options

/**
 * Who makes changes, as the audit log names them. A statement, not a proof: docs/audit.md.
 * @throws UsageError if the name does not fit the log
 */
export function operatorName(given: string | undefined, environment: NodeJS.ProcessEnv): string {
  if (given !== undefined) return checked(given, '--by')
  const fromEnvironment = environment[VARIABLE] ?? ''
  if (fromEnvironment !== '') return checked(fromEnvironment, VARIABLE)
  const user = userName()
  return OPERATOR_NAME.test(user) ? user : 'unknown'
}

function checked(name: string, where: string): string {
  if (OPERATOR_NAME.test(name)) return name
  throw new UsageError(`${where} must have 1 to 64 printable characters.`)
}

/** A container may run as a user that its system does not know. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return ''
  }
}
