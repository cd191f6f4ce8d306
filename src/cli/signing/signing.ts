import { PublicKeyFault, parsePublicKeys, type ReleaseKey, releaseKey } from '../../catalog/signing/public-keys.ts'
import { ReleaseSigning } from '../../catalog/signing/release-signing.ts'
import { readEnvironment } from '../../cloudflare/wrangler-config.ts'
import { localValues } from '../local/configuration.ts'
import { configPathOf } from '../target/arguments.ts'
import type { TargetSpec } from '../target/open.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { SigningArguments } from './options.ts'
import { readSigner } from './private-key.ts'

const RELEASE_KEYS = 'RELEASE_KEYS'
const UNSERVED =
  `Warning: ${RELEASE_KEYS} is set, and this command does not sign. The Worker does not serve a model whose release is not signed. Sign ` +
  'the model afterwards: npx verge keys sign MODEL --adopt --signing-key FILE'

/** How a command signs: with the key that it is given, on top of what the target's own Worker would accept. */
export async function signingFor(
  spec: TargetSpec,
  values: SigningArguments,
  environment: NodeJS.ProcessEnv,
): Promise<ReleaseSigning> {
  const { unsigned = false } = values
  if (unsigned && values['signing-key'] !== undefined)
    throw new UsageError('--unsigned and --signing-key cannot be combined. Remove one of them.')
  const signer = await readSigner(values['signing-key'], environment)
  const accepted = await acceptedKeys(spec)
  if (signer === undefined || unsigned) {
    if (accepted.length > 0) console.error(UNSERVED)
    // Nothing is verified where nothing is signed.
    return new ReleaseSigning({ unsigned })
  }
  const { id } = signer.key
  if (accepted.length > 0 && !accepted.some((key) => key.id === id)) {
    throw new UsageError(
      `${RELEASE_KEYS} does not have the public key of your signing key (${id}), so the Worker would not serve what it signs. Nothing was ` +
        `changed. Add the public key to ${RELEASE_KEYS} and deploy first, or use another signing key.`,
    )
  }
  return new ReleaseSigning({ signer, accepted })
}

/**
 * The keys that the Worker of a target accepts: RELEASE_KEYS in wrangler.toml, on this machine in .dev.vars too.
 * @throws UsageError if they cannot be read
 */
export async function acceptedKeys(spec: TargetSpec): Promise<readonly ReleaseKey[]> {
  const vars =
    'local' in spec
      ? await localValues(spec.configPath ?? configPathOf(undefined))
      : (await readEnvironment(spec.configPath, spec.env)).vars
  return releaseKeysIn(vars)
}

/** @throws UsageError */
export async function releaseKeysIn(vars: Readonly<Record<string, unknown>>): Promise<readonly ReleaseKey[]> {
  const text = vars[RELEASE_KEYS]
  try {
    return await Promise.all(parsePublicKeys(typeof text === 'string' ? text : '').map(releaseKey))
  } catch (error) {
    if (!(error instanceof PublicKeyFault)) throw error
    throw new UsageError(`${RELEASE_KEYS} ${error.message}.`)
  }
}
