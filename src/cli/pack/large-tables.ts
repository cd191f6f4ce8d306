import { type Artifact, PLACES } from '../../catalog/manifest.ts'
import { ENGINES } from '../../config/values.ts'
import { LIMITS } from '../../core/limits.ts'
import { decodeModel } from '../../onnx/codec.ts'
import { rawBytesOf } from '../../onnx/data.ts'
import { graphsOf } from '../../onnx/graph.ts'
import type { TensorProto } from '../../onnx/schema/onnx_pb.js'
import { decimalSize } from '../report/format.ts'
import type { ArtifactDescription, Description } from './description.ts'

/** Operators that look rows of their first input up. */
const LOOKUPS: readonly string[] = ['Gather', 'GatherBlockQuantized']

/**
 * A note on what to do about a model file that is too large for the edge, where most of it is tables that it looks rows up
 * in. None for any other file.
 * @param forms what it was packed into
 */
export function tableNotes(
  { engines, file, places }: ArtifactDescription,
  bytes: Uint8Array,
  description: Description,
  forms: readonly Artifact[],
): readonly string[] {
  const atEdge = forms.some((form) => form.places.includes('edge'))
  if (atEdge || !(places ?? PLACES).includes('edge') || bytes.length <= LIMITS.sessionBudgetBytes) return []
  const inTables = bytesInTables(bytes)
  if (2 * inTables <= bytes.length) return []
  const paged = description.pages !== 'off' && (engines ?? description.engines ?? ENGINES).includes('verge')
  const remedies = [
    'store them smaller (--dtype q8, with --embeddings int4 or low-rank)',
    // The last layer of a model that generates text has a score for each token.
    ...(description.task === 'text-generation'
      ? []
      : ['trim the vocabulary (--languages, --keep-corpus, --vocabulary)']),
    // Elsewhere the packer has tried.
    ...(paged ? [] : ["let Verge's own engine read them by page (--pages auto)"]),
  ]
  const last = remedies.pop()
  const list = remedies.length === 0 ? last : `${remedies.join(', ')}, or ${last}`
  return [
    `${file}: its tables of embeddings take ${decimalSize(inTables)} of its ${decimalSize(bytes.length)}: ${list}`,
  ]
}

function bytesInTables(bytes: Uint8Array): number {
  const tables = new Set<TensorProto>()
  for (const view of graphsOf(decodeModel(bytes))) {
    for (const { input, opType } of view.graph.node) {
      const table = LOOKUPS.includes(opType) ? view.constant(input[0] ?? '') : undefined
      if (table !== undefined) tables.add(table)
    }
  }
  return [...tables].reduce((sum, table) => sum + rawBytesOf(table).length, 0)
}
