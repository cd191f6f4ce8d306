import { defineCommand } from '../../command.ts'
import { findKey, keyReference } from '../../keys/find.ts'
import { keyWriterOf } from '../../keys/open.ts'
import { assertOneForm, reportSecret } from '../../keys/report.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../../target/arguments.ts'
import { OPERATOR_OPTION } from '../../target/operator.ts'
import { withTarget } from '../../target/session.ts'
import { UsageError } from '../../terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../../terminal/options.ts'
import { periodMs } from '../../terminal/period.ts'

const DEFAULT_OVERLAP = '24h'
const MOST_OVERLAP_MS = 366 * 86_400_000

const OPTIONS = {
  overlap: {
    type: 'string',
    value: 'TIME',
    help: `how long the old secret stays valid: 0, 15m, 7d (default: ${DEFAULT_OVERLAP})`,
  },
  ...TARGET_OPTIONS,
  ...OPERATOR_OPTION,
  quiet: { type: 'boolean', help: 'print the key and nothing else' },
  json: { type: 'boolean', help: 'print JSON, with the key' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Gives a key a new secret and prints it, once. The old secret is accepted for a while, so that callers can change without
an interruption. Id, grant and usage of the key stay.

Usage: npx verge keys rotate ID [options]

ID is the id of a key, its name if no other key has it, or the whole key.

${helpOf(OPTIONS)}

Examples:
  npx verge keys rotate shop
  npx verge keys rotate shop --overlap 7d --env production
  npx verge keys rotate shop --overlap 0

${TARGET_ENVIRONMENT}`

export const rotateCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    const reference = keyReference(positionals, 'rotate')
    assertOneForm(values)
    const overlap = overlapOf(values.overlap ?? DEFAULT_OVERLAP)
    return withTarget(values, async ({ target, signal }) => {
      const id = await findKey(target.truth, reference, signal)
      const rotated = await keyWriterOf(target).rotate(id, overlap)
      return reportSecret(rotated, target, { ...values, now: Date.now() })
    })
  },
})

/** In seconds. @throws UsageError */
function overlapOf(text: string): number {
  const ms = text === '0' ? 0 : periodMs(text)
  if (ms !== undefined && ms <= MOST_OVERLAP_MS) return Math.floor(ms / 1000)
  throw new UsageError(`--overlap takes a period of at most 366d, such as 24h or 7d, or 0; "${text}" is not one.`)
}
