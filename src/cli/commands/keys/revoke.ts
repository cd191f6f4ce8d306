import { defineCommand } from '../../command.ts'
import { findKey, keyReference } from '../../keys/find.ts'
import { keyWriterOf } from '../../keys/open.ts'
import { reportUpdate } from '../../keys/report.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../../target/arguments.ts'
import { OPERATOR_OPTION } from '../../target/operator.ts'
import { withTarget } from '../../target/session.ts'
import { UsageError } from '../../terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../../terminal/options.ts'
import { text } from '../../terminal/values.ts'

const MOST_LETTERS = 200

const OPTIONS = {
  why: { type: 'string', value: 'TEXT', help: 'for the record, which callers do not see' },
  ...TARGET_OPTIONS,
  ...OPERATOR_OPTION,
  json: { type: 'boolean', help: 'print JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Revokes a key for good, and the tokens that it has made. A key that was found somewhere can be given whole; only its id is
used. The record of the key stays.

Usage: npx verge keys revoke ID [options]

ID is the id of a key, its name if no other key has it, or the whole key.

${helpOf(OPTIONS)}

Examples:
  npx verge keys revoke shop --why "found in a repository"
  npx verge keys revoke 4m9x2k7t1abc --env production

${TARGET_ENVIRONMENT}`

export const revokeCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    const reference = keyReference(positionals, 'revoke')
    const why = text(values, 'why')
    if (why !== undefined && why.length > MOST_LETTERS) {
      throw new UsageError(`--why has ${why.length} characters; at most ${MOST_LETTERS} are kept.`)
    }
    return withTarget(values, async ({ target, signal }) => {
      const id = await findKey(target.truth, reference, signal)
      const revoked = await keyWriterOf(target).revoke(id, why)
      return reportUpdate(revoked, target, { ...values, now: Date.now(), done: 'The key is revoked.' })
    })
  },
})
