import type { Manifest } from '../../catalog/manifest.ts'
import { notFinite } from '../task.ts'
import type { EmbeddingOptions } from './embedding.ts'
import { outputOf, rowsOf, settingsOf, unfitOutput } from './embedding-output.ts'
import { assertDimensions, hasFiniteElements, normalizeVector, poolTokens } from './pooling.ts'
import type { Collector } from './vectors.ts'

/** One vector for each text, pooled of its tokens' where the model has not done that. @throws task_mismatch */
export function denseVectors(manifest: Manifest, options: EmbeddingOptions): Collector<Float32Array> {
  const output = outputOf('dense', manifest).name
  const { dimensions: trained, normalize: always, pooling } = settingsOf(manifest)
  const { dimensions } = options
  const vectors: Float32Array[] = []
  return {
    output,
    vectors,
    take({ outputs, sequences }) {
      const { pooled, stride, values, width } = rowsOf(outputs, output, sequences.length, manifest)
      if (dimensions !== undefined) assertDimensions(dimensions, width, trained)
      let elements = 0
      for (const [row, { ids, parts }] of sequences.entries()) {
        if (pooling === 'none' || (!pooled && ids.length * width > stride)) throw unfitOutput(manifest)
        const start = row * stride
        for (const { from, place, skipped, to } of parts) {
          const whole = pooled
            ? values.slice(start, start + width)
            : poolTokens(values.subarray(start + from * width, start + to * width), to - from, width, pooling, skipped)
          const cut = dimensions === undefined ? whole : whole.slice(0, dimensions)
          const vector = (options.normalize ?? always) ? normalizeVector(cut) : cut
          if (!hasFiniteElements(vector)) throw notFinite()
          vectors[place] = vector
          elements += vector.length
        }
      }
      return elements
    },
  }
}
