import type { CompatibilityRow } from '../row.ts'

const VECTORS = 'test/e2e/vectors.full.ts'
const KINDS = 'openai and @huggingface/inference ask for kinds and encodings'
const JSON_TYPE = "-H 'content-type: application/json'"
const M3 = "bge-m3's three kinds come in one answer, as FlagEmbedding makes them"
const RANKS = 'texts are ranked by MaxSim and by the product of sparse weights'
const OWN = 'its documentation'

export const rows: readonly CompatibilityRow[] = [
  {
    group: 'openai',
    what: '`embeddings.create` with `kinds`: dense and sparse vectors and those of tokens from one run',
    state: 'works',
    client: 'openai',
    proof: { file: VECTORS, test: KINDS },
    curl: `curl $VERGE/v1/embeddings ${JSON_TYPE} \\
  -d '{"model": "bge-m3", "input": ["A quiet film.", "bad"], "kinds": ["dense", "sparse", "tokens"]}'`,
  },
  {
    group: 'openai',
    what: '`embeddings.create` with `encoding_format` `int8`, `uint8`, `binary`, `ubinary`, and `dimensions`',
    state: 'works',
    client: 'openai',
    proof: { file: VECTORS, test: KINDS },
    curl: `curl $VERGE/v1/embeddings ${JSON_TYPE} \\
  -d '{"model": "bge-m3", "input": "A quiet film.", "encoding_format": "ubinary", "dimensions": 16}'`,
  },
  {
    group: 'openai',
    what: '`embeddings.create` with `late_chunking`',
    state: 'works',
    client: OWN,
    proof: {
      file: VECTORS,
      test: "late chunking pools each text over its own tokens of one run, and transformers.js's mean is that of one text",
    },
    curl: `curl $VERGE/v1/embeddings ${JSON_TYPE} \\
  -d '{"model": "encoder", "input": ["A quiet film.", "It stays with you."], "late_chunking": true}'`,
  },
  {
    group: 'huggingface',
    what: '`featureExtraction` with `encoding_format`',
    state: 'works',
    client: '@huggingface/inference',
    proof: { file: VECTORS, test: KINDS },
    curl: `curl $VERGE/models/bge-m3 ${JSON_TYPE} \\
  -d '{"inputs": "A quiet film.", "parameters": {"encoding_format": "int8"}}'`,
  },
  {
    group: 'verge',
    what: 'bge-m3: dense, sparse and multi-vector from one run in one answer',
    state: 'works',
    client: OWN,
    proof: { file: VECTORS, test: M3 },
    note: 'against onnxruntime-node and the formulas of FlagEmbedding',
    curl: `curl $VERGE/run/bge-m3 ${JSON_TYPE} \\
  -d '{"inputs": ["A quiet film."], "parameters": {"kinds": ["dense", "sparse", "tokens"]}}'`,
  },
  {
    group: 'verge',
    what: 'SPLADE: sparse vectors',
    state: 'works',
    client: '@huggingface/transformers',
    proof: { file: VECTORS, test: "SPLADE's weights are those of its formula on transformers.js's logits" },
    curl: `curl $VERGE/run/splade ${JSON_TYPE} -d '{"inputs": "A quiet film."}'`,
  },
  {
    group: 'verge',
    what: 'ColBERT: a vector for each token',
    state: 'works',
    client: OWN,
    proof: { file: VECTORS, test: "ColBERT's documents lose punctuation, and its queries are filled with [MASK]" },
    note: 'against onnxruntime-node',
    curl: `curl $VERGE/run/colbert ${JSON_TYPE} -d '{"inputs": "A quiet film."}'`,
  },
  {
    group: 'verge',
    what: '`/rerank` by MaxSim',
    state: 'works',
    client: OWN,
    proof: { file: VECTORS, test: RANKS },
    curl: `curl $VERGE/rerank ${JSON_TYPE} \\
  -d '{"model": "colbert", "query": "a quiet film", "documents": ["A loud film.", "It is quiet."]}'`,
  },
  {
    group: 'verge',
    what: '`/rerank` by the dot product of sparse vectors',
    state: 'works',
    client: OWN,
    proof: { file: VECTORS, test: RANKS },
    curl: `curl $VERGE/rerank ${JSON_TYPE} \\
  -d '{"model": "splade", "query": "a quiet film", "documents": ["A loud film.", "It is quiet."]}'`,
  },
]
