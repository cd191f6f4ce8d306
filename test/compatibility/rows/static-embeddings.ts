import type { CompatibilityRow } from '../row.ts'

export const rows: readonly CompatibilityRow[] = [
  {
    group: 'verge',
    what: 'Static embeddings from safetensors: model2vec, `StaticEmbedding` of sentence-transformers',
    state: 'works',
    client: 'its documentation',
    proof: {
      file: 'test/e2e/static-embeddings.full.ts',
      test: 'is pushed from its folder in full precision, and answers its formula',
    },
    curl: `curl $VERGE/v1/embeddings -H 'content-type: application/json' -d '{"model": "static-words", "input": "deep blue sea"}'`,
    note: '`verge push` makes the graph',
  },
  {
    group: 'verge',
    what: 'Models in GGUF, TensorFlow Lite, SavedModel, Keras or PyTorch, and networks in safetensors',
    state: 'declined',
    why: 'They are refused with the line that exports them to ONNX',
  },
]
