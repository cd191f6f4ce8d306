import { ALIAS_PREFIX } from '../../catalog/keys.ts'
import { MODEL_NAME } from '../../catalog/manifest.ts'
import type { ReleaseKey } from '../../catalog/signing/public-keys.ts'
import { isVergeError } from '../../core/errors.ts'
import type { Store } from '../../weights/store.ts'
import { allKeys } from '../push/references.ts'
import { describeState, signatureState } from '../signing/state.ts'
import { counted, minuteOf } from '../terminal/format.ts'
import { type Check, fail, ok, skip, warn } from './check.ts'

const AREA = 'releases'
const SOON_MS = 14 * 86_400_000

/**
 * Whether each model's release would be accepted by the configured keys, and for how long.
 * @param now milliseconds since 1970
 * @throws store_unavailable
 */
export async function checkReleases(
  truth: Store,
  keys: readonly ReleaseKey[],
  now: number,
  signal: AbortSignal = new AbortController().signal,
): Promise<Check[]> {
  if (keys.length === 0) {
    return [
      skip(
        AREA,
        'RELEASE_KEYS is not set: releases need no signature, and write access to the stores decides what runs',
      ),
    ]
  }
  const stored = await allKeys(truth, ALIAS_PREFIX, signal)
  const models = stored.map((key) => key.slice(ALIAS_PREFIX.length)).filter((model) => MODEL_NAME.test(model))
  const checks: Check[] = []
  for (const model of models.sort()) checks.push(...(await checkRelease(truth, model, keys, now, signal)))
  const accepted = models.length - checks.filter(({ status }) => status === 'fail').length
  return [
    ok(AREA, `${counted(accepted, 'model')} signed as RELEASE_KEYS (${keys.map(({ id }) => id).join(', ')}) demands`),
    ...checks,
  ]
}

async function checkRelease(
  truth: Store,
  model: string,
  keys: readonly ReleaseKey[],
  now: number,
  signal: AbortSignal,
): Promise<Check[]> {
  try {
    const found = await signatureState(truth, model, keys, now, signal)
    const { state, signature } = found
    if (state !== 'accepted') {
      const fix =
        state === 'expired'
          ? `Sign it again: npx verge keys sign ${model} --expires 90d`
          : `Look at it (npx verge models ${model}); if it is as you published it: npx verge keys sign ${model} --adopt`
      return [fail(AREA, `${model} is not served: ${describeState(found)}`, fix)]
    }
    const end = signature?.expires
    if (end === undefined || end * 1000 - now > SOON_MS) return []
    const finding = `${model} is served until ${minuteOf(end * 1000)} UTC: then its signature ends`
    return [warn(AREA, finding, 'Sign it again: npx verge keys sign --all --expires 90d')]
  } catch (error) {
    if (!isVergeError(error, 'alias_invalid')) throw error
    return [fail(AREA, error.message, 'Push the model again.')]
  }
}
