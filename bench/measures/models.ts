import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { ROOT } from '../../src/cli/files/project.ts'
import { startWorkerd, type WorkerdProcess } from '../../src/cli/local/workerd.ts'
import { packFolder } from '../../src/cli/pack/packer.ts'
import { median } from '../../src/cli/statistics.ts'
import { modelOf, writeCatalogues } from '../lib/catalogue.ts'
import { Connection, type RequestParts, requestBytes } from '../lib/connection.ts'
import type { Read } from '../lib/slow-reads.ts'
import { type Summary, summarise } from '../lib/stats.ts'
import { ask } from '../lib/worker-client.ts'
import type { Bench } from './context.ts'

/** Models of the two catalogues that are compared. */
export const FEW = 10
export const MANY = 10_000
const COUNTS = [FEW, MANY] as const

/** Entries of a list: a page of many models has as many as all of few. */
const LIMIT = FEW
/** Many: a request takes a few milliseconds, and whatever else the machine does takes as long. */
const ROUNDS_A_COLD_ROUND = 40

/** A request to an isolate that has read nothing, among few models and among many. */
export interface ModelsRow {
  readonly request: string
  /** Reads of KV and R2, among few and among many. */
  readonly reads: readonly [number, number]
  /** Reads that it may take at most. Left out in results of older runs: three. */
  readonly mostReads?: number
  /** Milliseconds to the answer, with local stores and no delay on reads. */
  readonly few: Summary
  readonly many: Summary
  /** Time among many for time among few: the median of the rounds' ratios. */
  readonly ratio: number
}

/** What is asked, and how it is called in the tables. */
interface Question {
  readonly name: string
  readonly mostReads: number
  /** @param index of one of the catalogue's models, another in each round */
  parts(index: number): RequestParts
}

/** An alias, a manifest and the weights; or the head of the index, a page, and one more where the list begins within it. */
const MOST_READS = 3
/** KV is asked in vain for each of the three. */
const MOST_READS_WITHOUT_COPIES = 6

const same = (parts: RequestParts): Question => ({
  name: `${parts.method} ${parts.path}`,
  mostReads: MOST_READS,
  parts: () => parts,
})

async function questions(): Promise<Question[]> {
  const picture = await readFile(join(ROOT, 'models/digits/samples/seven.png'))
  return [
    same({ method: 'GET', path: `/models?limit=${LIMIT}` }),
    same({ method: 'GET', path: `/v1/models?limit=${LIMIT}` }),
    same({
      method: 'POST',
      path: `/v2/repository/index?limit=${LIMIT}`,
      headers: { 'content-type': 'application/json' },
      body: '{}',
    }),
    same({ method: 'GET', path: `/ollama/api/tags?limit=${LIMIT}` }),
    same({ method: 'GET', path: '/openapi.json' }),
    {
      name: 'GET /v2/models/MODEL',
      mostReads: MOST_READS,
      parts: (index) => ({ method: 'GET', path: `/v2/models/${modelOf(index)}` }),
    },
    inference('POST /run/MODEL, a first inference', MOST_READS, picture, {}),
    inference('POST /run/MODEL, the same without copies in KV', MOST_READS_WITHOUT_COPIES, picture, {
      'bench-kv': 'empty',
    }),
  ]
}

function inference(
  name: string,
  mostReads: number,
  body: Uint8Array,
  headers: Readonly<Record<string, string>>,
): Question {
  return {
    name,
    mostReads,
    parts: (index) => ({
      method: 'POST',
      path: `/run/${modelOf(index)}`,
      headers: { 'content-type': 'image/png', ...headers },
      body,
    }),
  }
}

export async function measureModels({ bundles, effort, progress }: Bench): Promise<ModelsRow[]> {
  const packed = await packFolder(join(ROOT, 'models/digits'))
  const workers: WorkerdProcess[] = []
  try {
    progress(`catalogues of ${COUNTS.join(' and of ')} models`)
    for (const storage of await writeCatalogues(bundles.slow, packed, COUNTS)) {
      workers.push(await startWorkerd(bundles.slow, { direct: true, storage }))
    }
    const connections = await Promise.all(workers.map(({ url }) => Connection.open(url)))
    const rows: ModelsRow[] = []
    for (const question of await questions()) {
      progress(`among few models and many: ${question.name}`)
      rows.push(await compared(connections, question, ROUNDS_A_COLD_ROUND * effort.coldRounds))
    }
    for (const connection of connections) connection.close()
    return rows
  } finally {
    for (const { miniflare } of workers) await miniflare.dispose()
  }
}

/** In turn, so that whatever else the machine does is in both. */
async function compared(connections: readonly Connection[], question: Question, rounds: number): Promise<ModelsRow> {
  const reads: [number, number] = [0, 0]
  const times: [number[], number[]] = [[], []]
  for (let round = -1; round < rounds; round++) {
    const order = [...connections.entries()]
    for (const [i, connection] of round % 2 === 0 ? order : order.toReversed()) {
      const { headers: given, ...parts } = question.parts(indexIn(round, COUNTS[i] ?? FEW))
      const bytes = requestBytes({ ...parts, headers: { ...given, 'bench-delay': '0' } })
      const begun = performance.now()
      const { headers } = await ask(connection, bytes)
      if (round >= 0) times[i]?.push(performance.now() - begun)
      const made: readonly Read[] = JSON.parse(headers.get('bench-reads') ?? '[]')
      reads[i] = Math.max(reads[i] ?? 0, made.length)
    }
  }
  return {
    request: question.name,
    mostReads: question.mostReads,
    reads,
    few: summarise(times[0]),
    many: summarise(times[1]),
    ratio: median(times[1].map((time, i) => time / (times[0][i] ?? Number.NaN))),
  }
}

/** A prime that leaves hardly a model of many out, and asks none twice in a run. */
const STRIDE = 7_919

/** Which model a round asks for: another one each time, from all over the catalogue. */
function indexIn(round: number, count: number): number {
  return 1 + (((round + 1) * STRIDE) % (count - 1))
}
