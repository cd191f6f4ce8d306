import { performance } from 'node:perf_hooks'
import { ADDRESSES } from '../../src/http/addresses.ts'
import type { ProtocolName } from '../../src/protocols/names.ts'
import { type Connection, requestBytes } from '../lib/connection.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask, connected } from '../lib/worker-client.ts'
import { startWorker } from '../lib/worker-process.ts'
import type { Bench } from './context.ts'

/** The cheapest model of texts, so that what is around it shows. */
const PROTOCOL_MODEL = 'static-fp32'
/** A model that writes, which is asked for one token. */
const WRITER_MODEL = 'abacus'

const WARM_UP_ROUNDS = 300
const ROUNDS_A_WARM_ROUND = 200

/** Answers of one address, by the client, beside those of `/run` for the same model and text. */
export interface ProtocolRow {
  readonly model: string
  readonly address: string
  readonly time: Summary
  /** p50 less that of `/run`, in milliseconds. */
  readonly beside: number
}

interface Side {
  readonly protocol: ProtocolName
  /** As the table of addresses has it. */
  readonly address: string
  readonly body: Readonly<Record<string, unknown>>
}

const TEXT = 'a long story of a good friend and the money of the house'
const PROMPT = '27 plus 58 is'

const EMBED: readonly Side[] = [
  { protocol: 'verge', address: '/run/{model}', body: { inputs: TEXT } },
  { protocol: 'huggingface', address: '/models/{model}', body: { inputs: TEXT } },
  { protocol: 'openai', address: '/v1/embeddings', body: { model: PROTOCOL_MODEL, input: TEXT } },
  { protocol: 'ollama', address: '/api/embed', body: { model: PROTOCOL_MODEL, input: TEXT } },
  {
    protocol: 'cohere',
    address: '/v2/embed',
    body: { model: PROTOCOL_MODEL, texts: [TEXT], input_type: 'search_document', embedding_types: ['float'] },
  },
  { protocol: 'jina', address: '/v1/embeddings', body: { model: PROTOCOL_MODEL, input: [TEXT] } },
  { protocol: 'tei', address: '/{model}/embed', body: { inputs: TEXT } },
  { protocol: 'vllm', address: '/v1/embeddings', body: { model: PROTOCOL_MODEL, input: TEXT } },
  {
    protocol: 'workers-ai',
    address: '/client/v4/accounts/{account}/ai/run/{name...}',
    body: { text: TEXT },
  },
]

const WRITE: readonly Side[] = [
  {
    protocol: 'verge',
    address: '/run/{model}',
    body: { inputs: PROMPT, parameters: { max_new_tokens: 1, do_sample: false } },
  },
  {
    protocol: 'openai',
    address: '/v1/completions',
    body: { model: WRITER_MODEL, prompt: PROMPT, max_tokens: 1, temperature: 0 },
  },
  {
    protocol: 'ollama',
    address: '/api/generate',
    body: {
      model: WRITER_MODEL,
      prompt: PROMPT,
      raw: true,
      stream: false,
      options: { num_predict: 1, temperature: 0 },
    },
  },
  {
    protocol: 'oip',
    address: '/v2/models/{model}/generate',
    body: { text_input: PROMPT, max_tokens: 1, temperature: 0 },
  },
]

/** The same text asked of the same model in each protocol. They take turns, so that a disturbance hits all of them. */
export async function measureProtocols(bench: Bench): Promise<ProtocolRow[]> {
  const rounds = ROUNDS_A_WARM_ROUND * bench.effort.warmRounds
  const worker = await startWorker(bench.bundles.verge)
  try {
    return await connected(worker, async (connection) => {
      bench.progress(`protocols, ${rounds} rounds`)
      return [
        ...(await compare(connection, PROTOCOL_MODEL, EMBED, rounds)),
        ...(await compare(connection, WRITER_MODEL, WRITE, rounds)),
      ]
    })
  } finally {
    await worker.stop()
  }
}

async function compare(
  connection: Connection,
  model: string,
  all: readonly Side[],
  rounds: number,
): Promise<ProtocolRow[]> {
  const sides = all.filter(exists).map((side) => ({ ...side, request: requestOf(model, side), times: [] as number[] }))
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    for (const { request, times } of sides) {
      const begun = performance.now()
      await ask(connection, request)
      if (round >= 0) times.push(performance.now() - begun)
    }
  }
  const rows = sides.map(({ address, protocol, times }) => ({
    model,
    address: `/${protocol}${address}`,
    time: summarise(times),
  }))
  const run = rows[0]?.time.p50 ?? 0
  return rows.map((row) => ({ ...row, beside: row.time.p50 - run }))
}

function exists({ address, protocol }: Side): boolean {
  return ADDRESSES[protocol].some(({ path, state }) => path === address && state === 'works')
}

function requestOf(model: string, { address, body, protocol }: Side): Buffer {
  const path = address.replace(/\{(?:model|name\.\.\.)\}/, model).replace('{account}', 'any')
  return requestBytes({
    method: 'POST',
    path: `/${protocol}${path}`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}
