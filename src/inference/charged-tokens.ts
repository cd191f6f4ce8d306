import type { Tensors } from '../core/tensors.ts'
import type { RunLedger } from '../serving/ledger.ts'

/**
 * Makes a run whose tokens are reserved before it begins: whoever made them of a text, Verge or its caller. Those of a run
 * that failed, or that the result cache answered, are free again.
 * @throws budget_spent, limits_unavailable, and what the run throws
 */
export async function chargedTokens<T extends { readonly start: string }>(
  ledger: RunLedger | undefined,
  inputs: Tensors,
  run: () => Promise<T>,
): Promise<T> {
  const tokens = ledger === undefined ? 0 : tokensIn(inputs)
  if (ledger === undefined || tokens === 0) return run()
  const { permit } = ledger
  const reserved = permit?.tokens(tokens, 0)
  if (reserved !== undefined) await reserved
  try {
    const result = await run()
    const cached = result.start === 'cached'
    if (cached) permit?.refund({ tokens })
    ledger[cached ? 'cachedTokens' : 'inputTokens'] += tokens
    return result
  } catch (error) {
    permit?.refund({ tokens })
    throw error
  }
}

/** Tokens that a run reads: those of its texts that are no padding. None where it reads no texts. */
function tokensIn(inputs: Tensors): number {
  const mask = inputs.get('attention_mask')?.data
  if (mask === undefined) return inputs.get('input_ids')?.data.length ?? 0
  let count = 0
  for (const value of mask) if (Number(value) !== 0) count++
  return count
}
