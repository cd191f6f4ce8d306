import type { CompatibilityRow } from '../row.ts'

const TESTS = 'test/e2e/workers-ai.full.ts'
const AI = '$VERGE/workers-ai/client/v4/accounts/any/ai'
const JSON_TYPE = "-H 'content-type: application/json'"

/** What a model is asked, over REST. */
const run = (model: string, inputs: string): string => `curl ${AI}/run/${model} ${JSON_TYPE} -d '${inputs}'`

const BINDING = '@cloudflare/workers-types'
const M3 = '@cf/baai/bge-m3'
const LLAMA = '@cf/meta/llama-3.2-1b-instruct'

const tasks: readonly CompatibilityRow[] = [
  {
    group: 'workers-ai',
    what: '`env.AI.run`: text embeddings',
    state: 'works',
    client: BINDING,
    proof: { file: TESTS, test: 'embeds texts, and gets what /run answers in the shape of Workers AI' },
    curl: run(M3, '{"text": ["Refunds take a week.", "Our shops open at nine."]}'),
    note: 'A Worker of the type `Ai`, bound to the entrypoint `WorkersAi`',
  },
  {
    group: 'workers-ai',
    what: '`env.AI.run`: bge-m3 with a query, or contexts alone',
    state: 'works',
    client: BINDING,
    proof: { file: TESTS, test: 'asks bge-m3 for contexts near a query, and for their vectors' },
    curl: run(M3, '{"query": "When do you open?", "contexts": [{"text": "Our shops open at nine."}]}'),
    note: 'By cosines of dense vectors',
  },
  {
    group: 'workers-ai',
    what: '`env.AI.run`: reranker',
    state: 'works',
    client: BINDING,
    proof: { file: TESTS, test: 'ranks contexts' },
    curl: run(
      '@cf/baai/bge-reranker-base',
      '{"query": "who", "contexts": [{"text": "in london"}, {"text": "the first program"}], "top_k": 1}',
    ),
  },
  {
    group: 'workers-ai',
    what: '`env.AI.run`: text classification',
    state: 'works',
    client: BINDING,
    proof: { file: TESTS, test: 'classifies texts and pictures, and finds things in them' },
    curl: run('@cf/huggingface/distilbert-sst-2-int8', '{"text": "A waste of an evening."}'),
  },
  {
    group: 'workers-ai',
    what: '`env.AI.run`: image classification',
    state: 'works',
    client: BINDING,
    proof: { file: TESTS, test: 'classifies texts and pictures, and finds things in them' },
    curl: `curl ${AI}/run/@cf/microsoft/resnet-50 --data-binary @digit-seven.png`,
    note: 'A list of bytes, base64, or raw bytes over REST',
  },
  {
    group: 'workers-ai',
    what: '`env.AI.run`: object detection',
    state: 'works',
    client: BINDING,
    proof: { file: TESTS, test: 'classifies texts and pictures, and finds things in them' },
    curl: `curl ${AI}/run/@cf/facebook/detr-resnet-50 --data-binary @digit-seven.png`,
  },
  {
    group: 'workers-ai',
    what: '`env.AI.run`: text generation from a prompt or messages',
    state: 'works',
    client: BINDING,
    proof: { file: TESTS, test: 'writes texts, whole and as events' },
    curl: run(LLAMA, '{"prompt": "What is 27 plus 58?", "temperature": 0}'),
  },
  {
    group: 'workers-ai',
    what: '`env.AI.run`: text generation with `stream`',
    state: 'works',
    client: BINDING,
    proof: { file: TESTS, test: 'writes texts, whole and as events' },
    curl: run(LLAMA, '{"messages": [{"role": "user", "content": "What is 2 plus 3?"}], "stream": true}'),
  },
  {
    group: 'workers-ai',
    what: '`returnRawResponse`, `gateway`, `extraHeaders`, `signal`',
    state: 'works',
    client: BINDING,
    proof: { file: TESTS, test: 'may send options that change no answer' },
    curl: run('reviews', '{"text": "A quiet film that stays with you."}'),
    note: '`gateway` and `tags` change nothing',
  },
]

const rest: readonly CompatibilityRow[] = [
  {
    group: 'workers-ai',
    what: '`ai.run`, with the failures of Cloudflare',
    state: 'works',
    client: 'cloudflare',
    proof: { file: TESTS, test: 'run models by their names' },
    curl: run(M3, '{"contexts": [{"text": "Our shops open at nine."}], "truncate_inputs": true}'),
  },
  {
    group: 'workers-ai',
    what: '`ai.models.list`, `env.AI.models`',
    state: 'works',
    client: 'cloudflare',
    proof: { file: TESTS, test: 'list models' },
    curl: `curl "${AI}/models/search?task=Text+Embeddings"`,
  },
  {
    group: 'workers-ai',
    what: "OpenAI's client at `ai/v1`",
    state: 'works',
    client: 'openai',
    proof: { file: TESTS, test: "answer OpenAI's client" },
    curl: `curl ${AI}/v1/embeddings ${JSON_TYPE} -d '{"model": "${M3}", "input": "Our shops open at nine."}'`,
  },
  {
    group: 'workers-ai',
    what: 'Requests through AI Gateway, with Verge as a custom provider',
    state: 'works',
    client: 'openai',
    proof: { file: 'test/e2e/ai-gateway.full.ts', test: "answers OpenAI's client, streams and failures included" },
    curl: `curl $VERGE/v1/embeddings ${JSON_TYPE} -H 'cf-aig-cache-ttl: 60' -d '{"model": "${M3}", "input": "x"}'`,
    note: 'A stand-in maps addresses as the documentation says; the gateway itself was not asked',
  },
]

const refused: readonly CompatibilityRow[] = [
  {
    group: 'workers-ai',
    what: 'Batches: `requests`, `queueRequest`',
    state: 'not yet',
    why: 'Send the requests one by one',
  },
  {
    group: 'workers-ai',
    what: '`tools`, `functions`, `response_format`, `lora`, `instruction`',
    state: 'not yet',
    why: 'A request that has them is refused',
  },
  {
    group: 'workers-ai',
    what: 'Speech recognition, text to speech, translation, summarization, image to text, text to image',
    state: 'not yet',
    why: 'Verge has no such tasks yet',
  },
  {
    group: 'workers-ai',
    what: '`gateway()`, `toMarkdown()`, `autorag()`, `aiSearch()`, `websearch()`, `websocket`',
    state: 'declined',
    why: 'Other products of Cloudflare. Keep a binding of Workers AI under another name for them',
  },
]

export const rows: readonly CompatibilityRow[] = [...tasks, ...rest, ...refused]
