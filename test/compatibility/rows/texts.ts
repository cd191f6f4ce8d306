import type { CompatibilityRow } from '../row.ts'

const CLIENTS = 'test/e2e/clients-texts.full.ts'
const JSON_TYPE = "-H 'content-type: application/json'"
const DOCUMENTATION = 'its documentation'

const proof = (test: string) => ({ file: CLIENTS, test })
const post = (path: string, body: string): string => `curl $VERGE${path} ${JSON_TYPE} \\\n  -d '${body}'`

const cohere: readonly CompatibilityRow[] = [
  {
    group: 'cohere',
    what: '`embed` of version 2, all types of embeddings and of input',
    state: 'works',
    client: 'cohere-ai',
    proof: proof('embeds, in several types at once'),
    curl: post(
      '/cohere/v2/embed',
      '{"model": "retriever", "input_type": "search_query", "embedding_types": ["float", "ubinary"], "texts": ["How do I pay?"]}',
    ),
    note: 'A type of input takes the prompt of the model that means the same, if it has one',
  },
  {
    group: 'cohere',
    what: '`embed` with `outputDimension`, by a name of Cohere (`MODEL_NAMES`)',
    state: 'works',
    client: 'cohere-ai',
    proof: proof('embeds documents, by a name of Cohere, and cuts vectors'),
    curl: post(
      '/v2/embed',
      '{"model": "retriever", "input_type": "search_document", "output_dimension": 8, "texts": ["By card."]}',
    ),
  },
  {
    group: 'cohere',
    what: '`embed` of version 1',
    state: 'works',
    client: 'cohere-ai',
    proof: proof('embeds as its first version did'),
    curl: post('/cohere/v1/embed', '{"model": "retriever", "texts": ["How do I pay?"]}'),
  },
  {
    group: 'cohere',
    what: '`rerank` of both versions, with `rankFields` and `returnDocuments`',
    state: 'works',
    client: 'cohere-ai',
    proof: proof('ranks documents'),
    curl: post(
      '/cohere/v2/rerank',
      '{"model": "ranker", "query": "the first program", "documents": ["music", "program"], "top_n": 1}',
    ),
  },
  {
    group: 'cohere',
    what: '`tokenize`, `detokenize`',
    state: 'works',
    client: 'cohere-ai',
    proof: proof('tokenizes and detokenizes'),
    curl: post('/cohere/v1/tokenize', '{"model": "retriever", "text": "How do I pay?"}'),
  },
  {
    group: 'cohere',
    what: '`models.list`, `models.get`',
    state: 'works',
    client: 'cohere-ai',
    proof: proof('lists models with what they can do'),
    curl: 'curl $VERGE/cohere/v1/models',
  },
  {
    group: 'cohere',
    what: '`chat`, `generate`, `classify`, embeddings of images',
    state: 'not yet',
    why: 'They are answered 501, which its client tries twice more: set `maxRetries: 0`',
  },
]

const tei: readonly CompatibilityRow[] = [
  {
    group: 'tei',
    what: '`/embed`, with prompts, both ends to cut, `normalize`, `dimensions`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('embed texts, each alone and in a batch'),
    curl: post('/tei/retriever/embed', '{"inputs": ["What is Deep Learning?"], "truncate": true}'),
  },
  {
    group: 'tei',
    what: '`/embed_all`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('embed each token'),
    curl: post('/tei/retriever/embed_all', '{"inputs": "What is Deep Learning?"}'),
  },
  {
    group: 'tei',
    what: '`/embed_sparse`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('weigh the words of the vocabulary'),
    curl: post('/tei/lexical/embed_sparse', '{"inputs": "What is Deep Learning?"}'),
  },
  {
    group: 'tei',
    what: '`/similarity`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('compare sentences'),
    curl: post(
      '/tei/retriever/similarity',
      '{"inputs": {"source_sentence": "The cat sleeps.", "sentences": ["A kitten naps.", "Rates rose."]}}',
    ),
  },
  {
    group: 'tei',
    what: '`/predict` of a text, a pair and a batch of both',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('predict labels of texts, pairs and batches'),
    curl: post('/tei/topics/predict', '{"inputs": [["music"], ["the price", "money"]]}'),
  },
  {
    group: 'tei',
    what: '`/rerank`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('rank texts'),
    curl: post(
      '/tei/ranker/rerank',
      '{"query": "the first program", "texts": ["music", "program"], "return_text": true}',
    ),
  },
  {
    group: 'tei',
    what: '`/tokenize`, `/decode`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('tokenize and decode'),
    curl: post('/tei/retriever/tokenize', '{"inputs": ["What is Deep Learning?"]}'),
  },
  {
    group: 'tei',
    what: '`/info`, `/health`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('read what the model is'),
    curl: 'curl $VERGE/tei/retriever/info',
  },
  {
    group: 'tei',
    what: '`/v1/embeddings`',
    state: 'works',
    client: 'openai',
    proof: proof('embed through the client of OpenAI'),
    curl: post('/tei/retriever/v1/embeddings', '{"input": ["What is Deep Learning?"], "encoding_format": "base64"}'),
    note: 'The name in the body is not looked at; errors are in the shape that its client reads',
  },
  {
    group: 'tei',
    what: '`/metrics`, gRPC',
    state: 'declined',
    why: "A Worker's figures are in Cloudflare's own logs, and Workers cannot serve gRPC",
  },
]

const jina: readonly CompatibilityRow[] = [
  {
    group: 'jina',
    what: '`/v1/embeddings` with `task`, `embedding_type` or several, `dimensions`, `truncate`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('embed for a task, in several encodings'),
    curl: post(
      '/jina/v1/embeddings',
      '{"model": "retriever", "task": "retrieval.query", "embedding_type": "ubinary", "input": ["How do I pay?"]}',
    ),
  },
  {
    group: 'jina',
    what: '`/v1/embeddings` with `late_chunking`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('embed chunks that know of each other'),
    curl: post(
      '/jina/v1/embeddings',
      '{"model": "retriever", "late_chunking": true, "input": ["A quiet film.", "It stays with you."]}',
    ),
  },
  {
    group: 'jina',
    what: '`/v1/multi-vector`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('embed each token'),
    curl: post('/jina/v1/multi-vector', '{"model": "retriever", "input_type": "query", "input": ["How do I pay?"]}'),
  },
  {
    group: 'jina',
    what: '`/v1/rerank`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('rank documents'),
    curl: post(
      '/jina/v1/rerank',
      '{"model": "ranker", "query": "the first program", "documents": ["music", "program"]}',
    ),
  },
  {
    group: 'jina',
    what: '`/v1/classify` with `labels`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('classify by the nearest label'),
    curl: post('/jina/v1/classify', '{"model": "retriever", "input": ["A quiet film."], "labels": ["film", "food"]}'),
    note: 'Scores are the softmax of cosines',
  },
  {
    group: 'jina',
    what: 'Images, `/v1/train` and `classifier_id`',
    state: 'not yet',
    why: 'They are answered 501, or 422 for a field',
  },
]

const vllm: readonly CompatibilityRow[] = [
  {
    group: 'vllm',
    what: '`/v1/embeddings` with `truncate_prompt_tokens`, `add_special_tokens`, `normalize`',
    state: 'works',
    client: 'openai',
    proof: proof('embed through the client of OpenAI, with its own fields'),
    curl: post('/vllm/v1/embeddings', '{"model": "retriever", "input": "How do I pay?", "truncate_prompt_tokens": 4}'),
  },
  {
    group: 'vllm',
    what: '`/pooling`, tasks `embed`, `classify`, `token_embed`, `token_classify`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('pool by the task named'),
    curl: post('/pooling', '{"model": "retriever", "task": "token_embed", "input": "How do I pay?"}'),
  },
  {
    group: 'vllm',
    what: '`/score`, one text with a list or two lists',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('score pairs'),
    curl: post('/score', '{"model": "ranker", "text_1": "the first program", "text_2": ["music", "program"]}'),
  },
  {
    group: 'vllm',
    what: '`/rerank`, `/v1/rerank`, `/v2/rerank`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('rank documents with their texts'),
    curl: post('/vllm/rerank', '{"model": "ranker", "query": "the first program", "documents": ["music", "program"]}'),
  },
  {
    group: 'vllm',
    what: '`/classify`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('classify texts'),
    curl: post('/vllm/classify', '{"model": "topics", "input": ["music", "money"]}'),
  },
  {
    group: 'vllm',
    what: '`/tokenize`, `/detokenize`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('tokenize and detokenize'),
    curl: post('/vllm/tokenize', '{"model": "retriever", "prompt": "How do I pay?"}'),
  },
  {
    group: 'vllm',
    what: '`/v1/models`, `/version`, `/health`, `/ping`',
    state: 'works',
    client: DOCUMENTATION,
    proof: proof('list models and versions'),
    curl: 'curl $VERGE/vllm/v1/models',
  },
  {
    group: 'vllm',
    what: '`messages` in `/pooling`, `/classify`, `/tokenize`; token ids to classify',
    state: 'not yet',
    why: 'A request that has them is refused. Send texts',
  },
]

export const rows: readonly CompatibilityRow[] = [...cohere, ...tei, ...jina, ...vllm]
