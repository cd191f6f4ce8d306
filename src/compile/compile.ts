import { writeArtifact } from '../engine/verge/artifact.ts'
import type { Plan } from '../engine/verge/plan.ts'
import { inferTypes } from '../onnx/infer/infer.ts'
import { UNKNOWN } from '../onnx/infer/types.ts'
import { type AppliedPatch, type Pass, runPasses } from '../onnx/pass.ts'
import { dropDead } from '../onnx/passes/drop-dead.ts'
import type { ModelProto } from '../onnx/schema/onnx_pb.js'
import { isDeclined } from './declined.ts'
import { fastConvolutions } from './fast-rounding.ts'
import type { Image } from './image.ts'
import { lower } from './lower/lower.ts'
import { type PagedPlan, type PagesFile, type PageTable, pageTables } from './paged.ts'
import { dropExpands } from './passes/drop-expands.ts'
import { expandContrib } from './passes/expand-contrib.ts'
import { floatActivations } from './passes/float-activations.ts'
import { foldPads } from './passes/fold-pads.ts'
import { fuseActivation } from './passes/fuse-activation.ts'
import { fuseAttention } from './passes/fuse-attention.ts'
import { fuseGelu } from './passes/fuse-gelu.ts'
import { fuseHardSwish } from './passes/fuse-hard-swish.ts'
import { fuseLayerNorm } from './passes/fuse-layer-norm.ts'
import { fuseQkv } from './passes/fuse-qkv.ts'
import { fuseResidual } from './passes/fuse-residual.ts'
import { fuseSkipNorm } from './passes/fuse-skip-norm.ts'
import type { TypeOf } from './passes/heads.ts'
import { liftDequantization } from './passes/lift-dequantization.ts'
import { liftIntegerProducts } from './passes/lift-integer-products.ts'
import { liftLookups } from './passes/lift-lookups.ts'
import { liftQuantizedOperators } from './passes/lift-quantized-operators.ts'
import { makeLinear } from './passes/make-linear.ts'
import { reduceProducts } from './passes/reduce-products.ts'
import { splitProducts } from './passes/split-products.ts'

export interface CompileOptions {
  /** Largest size of a dimension that callers choose, by its name in the model; 65,536 unless said otherwise. */
  readonly most?: (name: string) => number
  /** Whether products of a convolutional model in floats may round as the processor does; no unless said otherwise. */
  readonly fast?: boolean
  /** Which tables are stored in pages beside the artifact, and how; none unless said otherwise. */
  readonly paged?: PageTable
  readonly signal: AbortSignal
}

export type Compiled =
  | {
      readonly ok: true
      readonly bytes: Uint8Array
      /** Rows of tables that are stored beside the artifact, where there are some. */
      readonly pages?: PagesFile
      readonly plan: Plan
      readonly applied: readonly AppliedPatch[]
    }
  | { readonly ok: false; readonly operator: string; readonly node: string; readonly reason: string }

const MOST = 65_536

/** What is fused before a graph is lowered, in this order. */
const passesFor = (types: TypeOf): Pass[] => [
  expandContrib(types),
  reduceProducts,
  liftQuantizedOperators,
  liftIntegerProducts,
  liftDequantization,
  liftLookups,
  floatActivations,
  dropDead,
  dropExpands,
  foldPads,
  dropDead,
  fuseLayerNorm,
  fuseGelu,
  fuseHardSwish,
  fuseAttention(types),
  dropDead,
  makeLinear,
  fuseQkv,
  splitProducts(types),
  fuseSkipNorm(types),
  fuseResidual(types),
  fuseActivation,
  dropDead,
]

/**
 * Compiles a model for Verge's own engine: an artifact of plan and weight image, or the operator because of which it
 * cannot. Weights keep the precision that the model has them in: eight bits, half floats or floats. The model must be
 * prepared as for quantizing (`prepareModel`); it stays as it is.
 */
export async function compileModel(
  model: ModelProto,
  { fast = false, most = () => MOST, paged, signal }: CompileOptions,
): Promise<Compiled> {
  const { model: fused, applied } = await runPasses(model, passesFor(typesOf(model)), { signal })
  try {
    const { plan: exact, image } = lower(fused, { most })
    const whole = fast ? fastConvolutions(exact) : exact
    const {
      plan,
      image: kept,
      pages,
    }: PagedPlan = paged ? await pageTables(whole, image, paged) : { plan: whole, image }
    return { ok: true, bytes: fileOf(plan, kept), ...(pages && { pages }), plan, applied }
  } catch (error) {
    if (!isDeclined(error)) throw error
    return { ok: false, operator: error.operator, node: error.node, reason: error.message }
  }
}

/** Types of a graph's values by name: passes give what they fuse the name that it had, and types of their own nodes are not inferred. */
function typesOf(model: ModelProto): TypeOf {
  const types = inferTypes(model)
  return (value) => (model.graph ? types.of(model.graph, value) : UNKNOWN)
}

/** Header, plan and image, as they will lie in memory. */
function fileOf(plan: Plan, image: Image): Uint8Array {
  const { bytes, image: target } = writeArtifact(plan, image.bytes)
  image.writeTo(target)
  return bytes
}
