import { defineCommand } from '../../command.ts'
import { GRANT_OPTIONS, grantFrom } from '../../keys/grant-options.ts'
import { assertModelsExist, assertPlanExists } from '../../keys/known.ts'
import { keyNamed } from '../../keys/name.ts'
import { keyWriterOf } from '../../keys/open.ts'
import { assertOneForm, reportSecret } from '../../keys/report.ts'
import { orDiscarded, SIGNING_OPTION, signingPair } from '../../keys/signing-file.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../../target/arguments.ts'
import { OPERATOR_OPTION } from '../../target/operator.ts'
import { withTarget } from '../../target/session.ts'
import { UsageError } from '../../terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../../terminal/options.ts'
import { timeMs } from '../../terminal/period.ts'

const OPTIONS = {
  ...GRANT_OPTIONS,
  expires: { type: 'string', value: 'TIME', help: 'when the key ends: 90d, 2027-01-01 (default: never)' },
  ...SIGNING_OPTION,
  ...TARGET_OPTIONS,
  ...OPERATOR_OPTION,
  quiet: { type: 'boolean', help: 'print the key and nothing else' },
  json: { type: 'boolean', help: 'print JSON, with the key' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Creates a key for a caller and prints it, once: only a salted hash is stored.

Usage: npx verge keys create NAME --models NAMES [options]

NAME is for you: the customer, the application, the person who has the key.

${helpOf(OPTIONS)}

Examples:
  npx verge keys create shop --models digits,reviews
  npx verge keys create shop --models "*" --rate 60/1m --budget 10000units/day --expires 90d
  npx verge keys create backend --models "shop-*" --actions infer,mint --plan free --env production

${TARGET_ENVIRONMENT}`

export const createCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    const name = keyNamed(positionals)
    const grant = values.models === undefined ? null : grantFrom(values, undefined)
    if (grant === null) {
      throw new UsageError('Specify the models that the key may use: --models digits, or --models "*" for all.')
    }
    assertOneForm(values)
    const now = Date.now()
    const expiresAt = expiryOf(values.expires, now)
    await assertPlanExists(values, grant, undefined)
    return withTarget(values, async ({ target, signal }) => {
      await assertModelsExist(target.truth, grant, undefined, signal)
      const pair = values.signing === undefined ? undefined : await signingPair(values.signing)
      const signing = pair && [{ publicKey: pair.publicKey }]
      const decisions = { name, grant, ...(expiresAt !== undefined && { expiresAt }), ...(signing && { signing }) }
      const created = await orDiscarded(pair, () => keyWriterOf(target).create(decisions))
      await pair?.write(created.record.id)
      return reportSecret(created, target, { ...values, now })
    })
  },
})

/** In seconds since 1970. @throws UsageError where it is past */
export function expiryOf(text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined
  const at = timeMs('expires', text, now, 'ahead')
  if (at <= now) throw new UsageError(`--expires ${text} is in the past. To end a key now, revoke it.`)
  return Math.floor(at / 1000)
}
