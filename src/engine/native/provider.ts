import { runtimeReason } from './reason.ts'
import { InferenceSession, Tensor } from './runtime.ts'
import type { Provider } from './support.ts'

/** Fatal only: what fails is thrown to the caller, and need not be printed beside. */
export const LOG_FATAL = 4

export interface ProviderChoice {
  readonly provider: Provider
  /** Those that were preferred and do not run here, with the runtime's reasons. */
  readonly refused: readonly { readonly provider: Provider; readonly reason: string }[]
}

/** An ONNX model of 122 bytes: FP32 `x` [1, 2] times the matrix 1 2 / 3 4 is `y` [1, 2]. */
export const TRIAL_MODEL =
  'CAgSC3ZlcmdlIHRlc3RzOmMKEwoBeAoBdxIBeSIGTWF0TXVsOgASBWdyYXBoKhsIAggCEAFCAXdKEAAAgD8AAABAAABAQAAAgEBaEwoBeBIOCgwIARIICgIIAQoCCAJiEwoBeRIOCgwIARIICgIIAQoCCAJCBAoAEBE='

/**
 * The first provider, in order of preference, that computes a small product correctly; the CPU if none does. A built-in
 * provider may still lack its libraries or its device.
 * @param onTrial gets the next provider before its trial, and null at the end, because a driver may end the process
 */
export async function chooseProvider(
  preferred: readonly Provider[],
  onTrial: (provider: Provider | null) => void = () => {},
): Promise<ProviderChoice> {
  const refused: { provider: Provider; reason: string }[] = []
  for (const provider of preferred) {
    if (provider === 'cpu') break
    onTrial(provider)
    const reason = await tryProvider(provider)
    onTrial(null)
    if (reason === undefined) return { provider, refused }
    refused.push({ provider, reason })
  }
  return { provider: 'cpu', refused }
}

/** @returns why it does not run; undefined if it does */
async function tryProvider(provider: Provider): Promise<string | undefined> {
  try {
    const session = await InferenceSession.create(Uint8Array.from(Buffer.from(TRIAL_MODEL, 'base64')), {
      executionProviders: [provider],
      logSeverityLevel: LOG_FATAL,
      // Else a provider that takes no operator passes, because the processor does its work.
      extra: { session: { disable_cpu_ep_fallback: '1' } },
    })
    try {
      const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(5, 7), [1, 2]) })
      const [left, right] = (y?.data ?? []) as Float32Array
      return left === 26 && right === 38 ? undefined : `it computed [${left}, ${right}] instead of [26, 38]`
    } finally {
      await session.release()
    }
  } catch (error) {
    return runtimeReason(error)
  }
}
