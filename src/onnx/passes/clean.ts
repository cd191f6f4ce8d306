import type { Pass } from '../pass.ts'
import { dropDead } from './drop-dead.ts'
import { dropIdentity } from './drop-identity.ts'
import { foldBatchNorm } from './fold-batch-norm.ts'
import { type ConstantEngine, type FoldConstantsOptions, foldConstants } from './fold-constants.ts'
import { nameNodes } from './name-nodes.ts'
import { ownInitializers } from './own-initializers.ts'
import { shareInitializers } from './share-initializers.ts'

export interface CleaningOptions extends FoldConstantsOptions {
  /** Computes constants; they are left as they are without it. */
  readonly engine?: ConstantEngine
  /** Leaves constants that are inputs too for callers to replace. */
  readonly keepInputs?: boolean
}

/** What is done to a model before it is quantized: the same answers, from fewer nodes and constants. */
export function cleaning({ engine, keepInputs = false, ...options }: CleaningOptions = {}): Pass[] {
  return [
    ...(keepInputs ? [] : [ownInitializers]),
    nameNodes,
    dropDead,
    ...(engine ? [foldConstants(engine, options)] : []),
    dropIdentity,
    foldBatchNorm,
    shareInitializers,
    dropDead,
  ]
}
