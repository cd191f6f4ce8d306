import { OnnxError, safeName } from '../../onnx/errors.ts'
import type { GraphView } from '../../onnx/graph.ts'
import { inferTypes } from '../../onnx/infer/infer.ts'
import { runPasses } from '../../onnx/pass.ts'
import { constantNodes } from '../../onnx/passes/constant-nodes.ts'
import { dropIdentity } from '../../onnx/passes/drop-identity.ts'
import { ownInitializers } from '../../onnx/passes/own-initializers.ts'
import type { ModelProto } from '../../onnx/schema/onnx_pb.js'
import { validateModel } from '../../onnx/validate.ts'
import { followNumbers, type TokenUses } from './token-uses.ts'
import { type TrimmedTable, trimmingPatch } from './trimming-patch.ts'

export interface TrimVocabularyOptions {
  /** The input with the numbers of tokens. */
  readonly input: string
  /** Numbers of the tokens that stay, rising, 0 the first. The token at place i has the number i afterwards. */
  readonly kept: Int32Array
  /** How many classes the model has, which may be as many as it has tokens. */
  readonly classes?: number | undefined
  readonly signal: AbortSignal
}

export interface TrimmedModel {
  readonly model: ModelProto
  /** The tables whose rows were taken out. */
  readonly tables: readonly TrimmedTable[]
  /** Whether the graph has a table of the old numbers, because it computes with them. */
  readonly mapped: boolean
}

/**
 * Takes the rows of tokens out of the tables that a model looks tokens up in, and numbers the others anew. Only lookups
 * read the new numbers. Nodes that compare numbers with constants get the constants' new numbers, and nodes that compute
 * with numbers (hashes of neighbours) get the old ones from a table, so that the same tokens give the same answer, bit
 * for bit.
 * @throws OnnxError unsupported where no table is found, where one has another reader (a language model's last layer), or
 * where the model answers a score for each token; bad_options where a table lacks rows for the tokens that stay
 */
export async function trimVocabulary(
  model: ModelProto,
  { input, kept, classes, signal }: TrimVocabularyOptions,
): Promise<TrimmedModel> {
  const passes = [ownInitializers, constantNodes, dropIdentity]
  const { model: plain } = await runPasses(model, passes, { signal, validate: validateModel })
  let tables: readonly TrimmedTable[] = []
  let mapped = false
  const trimming = {
    name: 'trim vocabulary',
    *propose(view: GraphView, { namer }: { readonly namer: { fresh(base: string): string } }) {
      if (view.outer !== undefined) return
      const uses = followNumbers(view, input)
      refuseScores(view, uses, classes)
      const trimmed = trimmingPatch(view, uses, kept, (base) => namer.fresh(base))
      ;({ tables, mapped } = trimmed)
      yield trimmed.patch
    },
  }
  const { model: trimmed } = await runPasses(plain, [trimming], { signal, validate: validateModel })
  return { model: trimmed, tables, mapped }
}

/** @throws OnnxError unsupported for a model that answers a score for each token of the vocabulary */
function refuseScores({ graph, model }: GraphView, { lookups }: TokenUses, classes: number | undefined): void {
  const rows = new Set(lookups.flatMap(({ tables }) => tables.map(({ tensor }) => Number(tensor.dims[0]))))
  const types = inferTypes(model)
  for (const { name } of graph.output) {
    const size = types.of(graph, name).shape?.at(-1)
    if (typeof size !== 'number' || size === classes || !rows.has(size)) continue
    throw new OnnxError(
      'unsupported',
      `Output "${safeName(name)}" has a score for each of ${size} tokens. The vocabulary of a language model cannot be trimmed. Remove the options that trim it.`,
      { node: name },
    )
  }
}
