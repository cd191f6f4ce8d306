import type { Alias } from '../../catalog/alias.ts'
import { asItIs } from '../../catalog/alias-changes.ts'
import type { SignRequest } from '../../catalog/signing/release-signing.ts'
import { isVergeError, type VergeError } from '../../core/errors.ts'
import { describeLive } from '../push/push.ts'
import type { Target } from '../target/target.ts'
import { minuteOf } from '../terminal/format.ts'

export interface SignResult {
  readonly signed: readonly Alias[]
  /** Models that were left as they are, and why. */
  readonly refused: readonly { readonly model: string; readonly reason: string }[]
}

/**
 * Signs models as they are stored. One that cannot be signed does not stop the others.
 * @throws store_unavailable, the signal's reason
 */
export async function signModels(
  { writer }: Pick<Target, 'writer'>,
  models: readonly string[],
  request: SignRequest,
  signal: AbortSignal,
): Promise<SignResult> {
  const signed: Alias[] = []
  const refused: { model: string; reason: string }[] = []
  for (const model of models) {
    try {
      const { alias } = await writer.updateAlias(model, asItIs(model), { signal, action: 'sign', sign: request })
      signed.push(alias)
    } catch (error) {
      if (!isRefusal(error)) throw error
      refused.push({ model, reason: error.message })
    }
  }
  return { signed, refused }
}

const REFUSALS = [
  'signature_invalid',
  'manifest_invalid',
  'weights_unavailable',
  'alias_invalid',
  // another command removes the model, or keeps changing it
  'model_not_found',
  'conflict',
] as const

/** Of this model alone. */
function isRefusal(error: unknown): error is VergeError {
  return isVergeError(error) && REFUSALS.some((code) => code === error.code)
}

/** What was signed: the person who signs is responsible for it. */
export function describeSigned({ model, generation, live, signature, versions, visibility }: Alias): string[] {
  const until = signature?.expires === undefined ? 'without an end' : `until ${minuteOf(signature.expires * 1000)} UTC`
  return [
    `${model} is signed with key ${signature?.key}, ${until}: generation ${generation}, ${visibility}; live: ${describeLive(live)}`,
    ...Object.entries(versions).map(([version, digest]) => `  version ${version}  manifest sha256 ${digest}`),
  ]
}
