import { resolve } from 'node:path'
import { ALIAS_PREFIX } from '../../../catalog/keys.ts'
import { MODEL_NAME } from '../../../catalog/manifest.ts'
import type { SignRequest } from '../../../catalog/signing/release-signing.ts'
import type { Store } from '../../../weights/store.ts'
import { defineCommand } from '../../command.ts'
import { allKeys } from '../../push/references.ts'
import { createSigningKey, SIGNING_KEY } from '../../signing/private-key.ts'
import { describeSigned, signModels } from '../../signing/sign.ts'
import { TARGET_ENVIRONMENT, TARGET_OPTIONS } from '../../target/arguments.ts'
import { modelNamed } from '../../target/names.ts'
import { OPERATOR_OPTION } from '../../target/operator.ts'
import { withTarget } from '../../target/session.ts'
import { delayOf } from '../../target/target.ts'
import { UsageError } from '../../terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../../terminal/options.ts'
import { timeMs } from '../../terminal/period.ts'

const OPTIONS = {
  create: {
    type: 'string',
    value: 'FILE',
    help: 'make a key pair: the private key into FILE, the public key is printed',
  },
  'signing-key': {
    type: 'string',
    value: 'FILE',
    help: `private key to sign with (default: ${SIGNING_KEY}, if it is set)`,
  },
  all: { type: 'boolean', help: 'sign every model again' },
  expires: {
    type: 'string',
    value: 'TIME',
    help: 'when the signature ends: 90d, 2027-01-01, never (default: after as long as the one before, else never)',
  },
  adopt: { type: 'boolean', help: 'sign what no accepted key has signed, too: you have looked at it' },
  above: { type: 'string', value: 'N', help: 'raise the generation above N: for a bucket that was restored' },
  ...TARGET_OPTIONS,
  ...OPERATOR_OPTION,
  json: { type: 'boolean', help: 'print JSON' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Signs releases of models as they are stored, or makes the key to sign them with. docs/signing.md explains both.

Usage: npx verge keys sign --create FILE
       npx verge keys sign MODEL... [options]
       npx verge keys sign --all [options]

${helpOf(OPTIONS)}

Examples:
  npx verge keys sign --create release.pem
  npx verge keys sign digits --adopt --signing-key release.pem
  npx verge keys sign --all --expires 90d --env production

${TARGET_ENVIRONMENT}`

/** Of an option's number: generations are counted one by one. */
const MOST_GENERATION = 2 ** 48

export const signCommand = defineCommand({
  help: HELP,
  options: OPTIONS,
  async run({ values, positionals }) {
    const { all = false, create } = values
    if (create !== undefined) {
      if (all || positionals.length > 0)
        throw new UsageError('--create takes no models. Sign them with the key afterwards.')
      return created(create, values.json ?? false)
    }
    if (all === positionals.length > 0)
      throw new UsageError('Specify the models to sign, or --all: npx verge keys sign MODEL.')
    const named = positionals.map(modelNamed)
    const request = requestOf(values, Date.now())
    return withTarget(values, async ({ target, signal }) => {
      const models = all ? await storedModels(target.truth, signal) : named
      const { signed, refused } = await signModels(target, models, request, signal)
      if (refused.length > 0) process.exitCode = 1
      if (values.json) {
        const shown = signed.map(({ model, generation, signature }) => ({ model, generation, ...signature }))
        return JSON.stringify({ signed: shown, refused }, null, 2)
      }
      return [
        ...signed.flatMap(describeSigned),
        ...(signed.length > 0 ? [delayOf(target)] : []),
        ...refused.map(({ reason }) => `not signed: ${reason}`),
      ].join('\n')
    })
  },
})

/** Of every alias, also of one that cannot be read: it is named among those that are refused. */
async function storedModels(truth: Store, signal: AbortSignal): Promise<string[]> {
  const keys = await allKeys(truth, ALIAS_PREFIX, signal)
  return keys.map((key) => key.slice(ALIAS_PREFIX.length)).filter((name) => MODEL_NAME.test(name))
}

async function created(path: string, json: boolean): Promise<string> {
  const { key, publicKey } = await createSigningKey(resolve(path))
  if (json) return JSON.stringify({ id: key.id, publicKey }, null, 2)
  return [
    `The private key is in ${path}. Keep it like a password, and apart from the account whose releases it signs.`,
    `Its public key, id ${key.id}, for [vars] in wrangler.toml:`,
    '',
    `  RELEASE_KEYS = "${publicKey}"`,
    '',
  ].join('\n')
}

interface SignArguments {
  readonly expires?: string | undefined
  readonly adopt?: boolean | undefined
  readonly above?: string | undefined
}

/** @throws UsageError */
function requestOf({ expires, adopt = false, above }: SignArguments, now: number): SignRequest {
  const generation = above === undefined ? undefined : Number(above)
  if (generation !== undefined && !(Number.isInteger(generation) && generation > 0 && generation <= MOST_GENERATION)) {
    throw new UsageError(`--above: "${above}" is not a generation, which is a whole number above 0.`)
  }
  return { adopt, above: generation, lasts: lastingOf(expires, now) }
}

/** Seconds from now on; null for a signature without an end. @throws UsageError if the end is past */
function lastingOf(expires: string | undefined, now: number): number | null | undefined {
  if (expires === undefined) return undefined
  if (expires === 'never') return null
  const lasts = Math.floor((timeMs('expires', expires, now, 'ahead') - now) / 1000)
  if (lasts > 0) return lasts
  throw new UsageError(`--expires ${expires} is in the past. A signature cannot end before it is made.`)
}
