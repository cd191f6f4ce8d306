import { NO_RIGHTS } from '../../../access/grant.ts'
import type { KeyRecord } from '../../../access/keys/record.ts'
import type { KeyDecisions } from '../../../access/keys/writer.ts'
import { defineCommand } from '../../command.ts'
import { findKey, keyReference } from '../../keys/find.ts'
import { GRANT_OPTIONS, grantFrom } from '../../keys/grant-options.ts'
import { assertModelsExist, assertPlanExists } from '../../keys/known.ts'
import { NONE } from '../../keys/limit-options.ts'
import { checkedName } from '../../keys/name.ts'
import { keyWriterOf } from '../../keys/open.ts'
import { reportUpdate } from '../../keys/report.ts'
import { orDiscarded, SIGNING_OPTION, signingPair } from '../../keys/signing-file.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../../target/arguments.ts'
import { OPERATOR_OPTION } from '../../target/operator.ts'
import { withTarget } from '../../target/session.ts'
import { UsageError } from '../../terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../../terminal/options.ts'
import { text } from '../../terminal/values.ts'
import { expiryOf } from './create.ts'

const OPTIONS = {
  name: { type: 'string', value: 'NAME', help: 'another name' },
  ...GRANT_OPTIONS,
  expires: { type: 'string', value: 'TIME', help: 'another end: 90d, 2027-01-01, or "none" for none' },
  ...SIGNING_OPTION,
  ...TARGET_OPTIONS,
  ...OPERATOR_OPTION,
  json: { type: 'boolean', help: 'print JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Changes what a key may do, and until when. What no option names stays; "none" takes back a limit, a plan, an end or all
origins. Each option replaces what was said before: --models is the whole list, and --budget all budgets.

Usage: npx verge keys update ID [options]

ID is the id of a key, its name if no other key has it, or the whole key.

${helpOf(OPTIONS)}

Examples:
  npx verge keys update shop --models digits,reviews
  npx verge keys update shop --rate 600/1m --budget none
  npx verge keys update shop --expires none --env production

${TARGET_ENVIRONMENT}`

export const updateCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    const reference = keyReference(positionals, 'update')
    const given = text(values, 'name')
    const name = given === undefined ? undefined : checkedName(given)
    const now = Date.now()
    const expires = values.expires === NONE ? null : (expiryOf(values.expires, now) ?? undefined)
    // what is wrong with an option is said before anything is opened, whatever the key may do now
    const changesGrant = grantFrom(values, NO_RIGHTS) !== null
    if (name === undefined && expires === undefined && !changesGrant && values.signing === undefined) {
      throw new UsageError('Specify what to change: --models, --rate, --expires, ... "--help" lists the options.')
    }
    return withTarget(values, async ({ target, signal }) => {
      const id = await findKey(target.truth, reference, signal)
      const writer = keyWriterOf(target)
      const { grant: old } = await writer.read(id)
      const grant = grantFrom(values, old) ?? old
      await assertPlanExists(values, grant, old)
      await assertModelsExist(target.truth, grant, old, signal)
      const pair = values.signing === undefined ? undefined : await signingPair(values.signing)
      const decide = (record: KeyRecord): KeyDecisions => {
        const signing = [...(record.signing ?? []), ...(pair === undefined ? [] : [{ publicKey: pair.publicKey }])]
        const expiresAt = expires === null ? undefined : (expires ?? record.expiresAt)
        return {
          name: name ?? record.name,
          // over what another command may have changed meanwhile
          grant: grantFrom(values, record.grant) ?? record.grant,
          ...(expiresAt !== undefined && { expiresAt }),
          ...(signing.length > 0 && { signing }),
        }
      }
      const updated = await orDiscarded(pair, async () => {
        // first, because a public key whose private half is lost stays in the record
        await pair?.write(id)
        return writer.update(id, decide)
      })
      return reportUpdate(updated, target, { ...values, now, done: 'The key is changed.' })
    })
  },
})
