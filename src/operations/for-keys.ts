import type { OperationsBody } from '../protocols/verge/operations.ts'
import { verdictOf } from './verdict.ts'

/**
 * The report as a key may see it that is not the operator's: without who calls, what each may spend, and who changed what. A
 * key with `metrics` lies in the configuration of a scraper, and `GET /v1/usage` tells it of no other caller, either.
 */
export function forKeys(body: OperationsBody): OperationsBody {
  const shown = { ...body, callers: null, changes: null }
  // What callers have left raises alerts that name them.
  return { ...shown, ...verdictOf(shown) }
}
