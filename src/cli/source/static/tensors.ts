import { safeName } from '../../../onnx/errors.ts'
import { UsageError } from '../../terminal/command-line.ts'
import { exportLine, modelIn } from '../other-formats.ts'
import type { StoredTensor } from '../safetensors.ts'
import { FLOAT_DTYPES } from './floats.ts'

/** The tensors of a static embedding. */
export interface StaticTensors {
  /** A row for each token, or for each group of them. */
  readonly embeddings: StoredTensor
  /** A factor for each token. */
  readonly weights?: StoredTensor
  /** The row of each token. */
  readonly mapping?: StoredTensor
}

/** Names of the table: model2vec's, and that of sentence-transformers' `StaticEmbedding`. */
const TABLES = ['embeddings', 'embedding.weight']

/**
 * Finds the tensors of a static embedding, and checks that they belong together.
 * @throws UsageError where there are others: a network, which its file says nothing of
 */
export function staticTensors(tensors: ReadonlyMap<string, StoredTensor>, label: string): StaticTensors {
  const table = TABLES.map((name) => tensors.get(name)).find((tensor) => tensor !== undefined)
  const known = [...TABLES, 'weights', 'mapping']
  const other = [...tensors.keys()].find((name) => !known.includes(name))
  if (table === undefined || other !== undefined) {
    throw new UsageError(
      `${label} has weights without a graph${other === undefined ? '' : `, such as "${safeName(other)}"`}. Only static embeddings (model2vec, StaticEmbedding) are imported from safetensors. Export the model to ONNX: ${exportLine(modelIn(label))}`,
    )
  }
  const weights = tensors.get('weights')
  const mapping = tensors.get('mapping')
  const wrong = (what: string): UsageError => new UsageError(`${label}: ${what}. Save the model again.`)
  if (table.shape.length !== 2 || table.bytes === 0)
    throw wrong(`its table has the shape [${table.shape.join(', ')}], not [tokens, size]`)
  for (const tensor of [table, weights]) {
    if (tensor !== undefined && !FLOAT_DTYPES.includes(tensor.dtype)) {
      throw wrong(`"${tensor.name}" has the datatype ${tensor.dtype}; use one of ${FLOAT_DTYPES.join(', ')}`)
    }
  }
  if (mapping !== undefined && (mapping.shape.length !== 1 || !['I64', 'I32'].includes(mapping.dtype))) {
    throw wrong('"mapping" is not a list of I64 or I32')
  }
  const tokens = mapping?.shape[0] ?? table.shape[0] ?? 0
  if (weights !== undefined && (weights.shape.length !== 1 || weights.shape[0] !== tokens)) {
    throw wrong(`"weights" has the shape [${weights.shape.join(', ')}], and there are ${tokens} tokens`)
  }
  return { embeddings: table, ...(weights && { weights }), ...(mapping && { mapping }) }
}
