import type { Manifest } from '../../catalog/manifest.ts'
import { notFinite } from '../task.ts'
import type { EmbeddingOptions } from './embedding.ts'
import { outputOf, rowsOf, settingsOf, unfitOutput } from './embedding-output.ts'
import type { Part, Sequence } from './embedding-texts.ts'
import { assertDimensions, hasFiniteElements, normalizeVector } from './pooling.ts'
import type { Collector, TokenVectors } from './vectors.ts'

/** A vector for each token of a text, without those that the model's settings leave out. @throws task_mismatch */
export function tokenVectors(manifest: Manifest, options: EmbeddingOptions): Collector<TokenVectors> {
  const output = outputOf('tokens', manifest).name
  const { dimensions: trained, tokens: settings } = settingsOf(manifest)
  const normalize = options.normalize ?? settings?.normalize ?? false
  const skip = new Set(settings?.skip)
  const skipFirst = settings?.skipFirst ?? false
  const vectors: TokenVectors[] = []

  const kept = ({ ids }: Sequence, { from, query, to }: Part, first: number): number[] => {
    const places: number[] = []
    for (let place = Math.max(from, first); place < to; place++) {
      if (query || !skip.has(ids[place] ?? -1)) places.push(place)
    }
    return places
  }

  return {
    output,
    vectors,
    take({ outputs, sequences }) {
      const { pooled, stride, values, width } = rowsOf(outputs, output, sequences.length, manifest)
      const longest = sequences.reduce((most, { ids }) => Math.max(most, ids.length), 0)
      // Some exports of bge-m3 leave out the first token's vector in the graph.
      const absent = longest - stride / width
      if (pooled || (absent !== 0 && absent !== 1)) throw unfitOutput(manifest)
      const cut = settings === undefined ? width : (options.dimensions ?? width)
      assertDimensions(cut, width, trained)
      let elements = 0
      for (const [row, sequence] of sequences.entries()) {
        for (const part of sequence.parts) {
          const places = kept(sequence, part, Math.max(absent, Number(skipFirst)))
          const own = new Float32Array(places.length * cut)
          for (const [i, place] of places.entries()) {
            const start = row * stride + (place - absent) * width
            const vector = own.subarray(i * cut, (i + 1) * cut)
            vector.set(values.subarray(start, start + cut))
            if (normalize) normalizeVector(vector)
          }
          if (!hasFiniteElements(own)) throw notFinite()
          vectors[part.place] = { values: own, width: cut, ids: places.map((place) => sequence.ids[place] ?? 0) }
          elements += own.length
        }
      }
      return elements
    },
  }
}
