import { defineCommand } from '../../command.ts'
import { describeKey, keyJson } from '../../keys/describe.ts'
import { findKey, keyReference } from '../../keys/find.ts'
import { isCopied } from '../../keys/inventory.ts'
import { lastUses } from '../../keys/last-use.ts'
import { keyWriterOf } from '../../keys/open.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../../target/arguments.ts'
import { withTarget } from '../../target/session.ts'
import { HELP_OPTION, helpOf, type Options } from '../../terminal/options.ts'

const OPTIONS = {
  ...TARGET_OPTIONS,
  json: { type: 'boolean', help: 'print JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Shows a key without its secret: what it may do, until when, and when it was used last. A key that was found somewhere
can be given whole; only its id is used.

Usage: npx verge keys show ID [options]

ID is the id of a key, its name if no other key has it, or the whole key.

${helpOf(OPTIONS)}

Examples:
  npx verge keys show shop
  npx verge keys show 4m9x2k7t1abc --env production

${TARGET_ENVIRONMENT}`

export const showCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    const reference = keyReference(positionals, 'show')
    return withTarget(values, async ({ target, signal }) => {
      const id = await findKey(target.truth, reference, signal)
      const record = await keyWriterOf(target).read(id)
      const copied = await isCopied(target.truth, target.copies, id, signal)
      const facts = { copied, lastUsedAt: (await lastUses(target.truth, id, signal)).get(id) }
      const now = Date.now()
      return values.json ? JSON.stringify(keyJson(record, facts, now), null, 2) : describeKey(record, facts, now)
    })
  },
})
