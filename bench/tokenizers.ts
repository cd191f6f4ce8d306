import * as z from 'zod'
import { runScript } from '../src/cli/terminal/command-line.ts'
import { compiledTokenizer } from '../src/media/text/tokenizer.ts'
import { inventedTexts, inventedTokenizer, inventedWords, type VocabularyKind } from '../synthetic/vocabularies.ts'
import { bundle } from './lib/bundle.ts'
import { type Connection, requestBytes } from './lib/connection.ts'
import { threadTimes } from './lib/cpu-time.ts'
import { HeapProbe } from './lib/heap.ts'
import { machine } from './lib/machine.ts'
import { plainText } from './lib/table.ts'
import { ask, connected } from './lib/worker-client.ts'
import { startWorker, stopAllWorkers, type WorkerProcess } from './lib/worker-process.ts'

const HELP = `Measures tokenizers in workerd, in fresh isolates, by the CPU time of the isolate's thread.

Usage: node bench/tokenizers.ts [rounds]

  rounds   fresh isolates for each vocabulary; the best counts (5)

"Open" is from the bytes of a compiled tokenizer to the first tokens of a text, without what a request costs anyway; "compile" is
the same from a tokenizer.json. Vocabularies and texts are made up (synthetic/vocabularies.ts).`

const VOCABULARIES: readonly (readonly [VocabularyKind, number])[] = [
  ['WordPiece', 30_522],
  ['WordPiece', 250_000],
  ['Unigram', 250_000],
  ['BPE', 250_000],
  ['BPE with bytes', 250_000],
  ['WordLevel', 250_000],
]
/** Requests whose middle cost is what a request takes anyway. */
const IDLE = 15
const TEXTS = 400
/** How often all texts are read, so that V8 has compiled what reads them as well as it will. */
const READINGS = 8
const MB = 1e6

const counted = z.object({ count: z.number() })

interface Figures {
  openMs: number
  keptBytes: number
  tokensPerSecond: number
}

await runScript(HELP, async () => {
  if (process.argv.includes('--help')) return HELP
  const rounds = Number(process.argv[2] ?? 5)
  try {
    const folder = await bundle('tokenizers')
    const rows: string[][] = []
    for (const [kind, pieces] of VOCABULARIES) rows.push(await rowOf(folder, kind, pieces, rounds))
    const { cpu, cores, workerd } = machine()
    return plainText({
      title: `Tokenizers in workerd ${workerd}, ${cores} cores of ${cpu}; best of ${rounds} fresh isolates`,
      head: ['vocabulary', 'tokenizer.json', 'compiled', 'open, CPU ms', 'compile, CPU ms', 'kept', 'tokens a second'],
      rows,
    })
  } finally {
    await stopAllWorkers()
  }
})

async function rowOf(folder: string, kind: VocabularyKind, pieces: number, rounds: number): Promise<string[]> {
  const file = Buffer.from(JSON.stringify(inventedTokenizer(kind, pieces)))
  const image = Buffer.from(compiledTokenizer(file))
  const texts = inventedTexts(inventedWords(pieces), TEXTS)
  const best: Figures = { openMs: Number.POSITIVE_INFINITY, keptBytes: Number.POSITIVE_INFINITY, tokensPerSecond: 0 }
  let compileMs = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round++) {
    const { keptBytes, openMs, tokensPerSecond } = await fresh(folder, (worker) => figuresOf(worker, image, texts))
    best.openMs = Math.min(best.openMs, openMs)
    best.keptBytes = Math.min(best.keptBytes, keptBytes)
    best.tokensPerSecond = Math.max(best.tokensPerSecond, tokensPerSecond)
    // As slow as it is, its noise is small.
    if (round < 2) compileMs = Math.min(compileMs, await fresh(folder, (worker) => costOf(worker, file, 'parse')))
  }
  const megabytes = (bytes: number): string => `${(bytes / MB).toFixed(2)} MB`
  return [
    `${kind}, ${pieces}`,
    megabytes(file.length),
    megabytes(image.length),
    best.openMs.toFixed(2),
    compileMs.toFixed(0),
    megabytes(best.keptBytes),
    `${(best.tokensPerSecond / 1e6).toFixed(2)} M`,
  ]
}

async function fresh<T>(folder: string, measure: (worker: WorkerProcess) => Promise<T>): Promise<T> {
  const worker = await startWorker(folder, { inspected: true, direct: true })
  try {
    return await measure(worker)
  } finally {
    await worker.stop()
  }
}

/** What a task adds to a request's CPU time, in a fresh isolate that has the bytes. */
async function costOf(worker: WorkerProcess, bytes: Buffer, task: string): Promise<number> {
  return connected(worker, async (connection) => {
    const { idle, timed } = await prepared(worker, connection, bytes)
    return (await timed(task)).ms - idle
  })
}

async function figuresOf(worker: WorkerProcess, image: Buffer, texts: readonly string[]): Promise<Figures> {
  const probe = await HeapProbe.open(worker)
  const held = async (): Promise<number> => {
    const { backingStorageSize, usedSize } = await probe.usage()
    return usedSize + backingStorageSize
  }
  try {
    return await connected(worker, async (connection) => {
      const { idle, timed } = await prepared(worker, connection, image)
      const before = await held()
      const openMs = (await timed('open')).ms - idle
      // The bytes are there already, and are the tokenizer; the garbage of the request counts too.
      const keptBytes = image.length + Math.max(0, (await held()) - before)
      await post(connection, 'texts', Buffer.from(JSON.stringify(texts)))
      let tokensPerSecond = 0
      for (let reading = 0; reading < READINGS; reading++) {
        const { count, ms } = await timed('read')
        tokensPerSecond = Math.max(tokensPerSecond, (1000 * count) / ms)
      }
      return { openMs, keptBytes, tokensPerSecond }
    })
  } finally {
    probe.close()
  }
}

async function prepared(worker: WorkerProcess, connection: Connection, bytes: Buffer) {
  const timed = async (task: string) => {
    const before = threadTimes(worker.pid).first
    const { count } = counted.parse(
      JSON.parse((await ask(connection, requestBytes({ path: `/${task}` }))).body.toString()),
    )
    return { count, ms: threadTimes(worker.pid).first - before }
  }
  await post(connection, 'bytes', bytes)
  const costs: number[] = []
  for (let i = 0; i < IDLE; i++) costs.push((await timed('nothing')).ms)
  costs.sort((a, b) => a - b)
  return { timed, idle: costs[Math.floor(IDLE / 2)] ?? 0 }
}

async function post(connection: Connection, task: string, body: Buffer): Promise<void> {
  await ask(connection, requestBytes({ path: `/${task}`, method: 'POST', body }))
}
