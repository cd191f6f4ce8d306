import type { Engine } from '../engine/engine.ts'
import { isOnnxError } from '../onnx/errors.ts'
import { opsetOf } from '../onnx/graph.ts'
import { type AppliedPatch, runPasses } from '../onnx/pass.ts'
import { cleaning } from '../onnx/passes/clean.ts'
import type { ModelProto } from '../onnx/schema/onnx_pb.js'
import { upgradeOpset } from '../onnx/upgrade.ts'
import { validateModel } from '../onnx/validate.ts'

/** Quantizing with a scale for each channel needs this operator set, and every runtime here has it. */
const OPSET = 13

export interface Prepared {
  readonly model: ModelProto
  readonly applied: readonly AppliedPatch[]
  readonly notes: readonly string[]
}

/**
 * Brings a model into the form that quantizing passes expect: a recent operator set, constants computed, batch
 * normalization folded into what comes before it, each weight once, every node with a name. Answers change by no more
 * than rounding.
 * @throws OnnxError what `validateModel` throws of the given model; invalid_graph
 */
export async function prepareModel(
  model: ModelProto,
  { engine, signal }: { readonly engine: Engine; readonly signal: AbortSignal },
): Promise<Prepared> {
  validateModel(model)
  const { model: upgraded, notes } = upgrade(model)
  const passes = cleaning({ engine })
  const { model: prepared, applied } = await runPasses(upgraded, passes, { signal, validate: validateModel })
  return { model: prepared, applied, notes }
}

function upgrade(model: ModelProto): { readonly model: ModelProto; readonly notes: string[] } {
  const opset = opsetOf(model, '')
  if (opset === 0 || opset >= OPSET) return { model, notes: [] }
  try {
    return { model: upgradeOpset(model, OPSET), notes: [`operator set upgraded from ${opset} to ${OPSET}`] }
  } catch (error) {
    if (!isOnnxError(error, 'unsupported')) throw error
    return { model, notes: [`operator set stays at ${opset}: ${error.message}`] }
  }
}
