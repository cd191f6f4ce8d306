import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'

/** A use of every method. Where a line is no error, "Unused '@ts-expect-error'" is one. */
const USE = `
import { type Label, type Tensor, type TextDelta, VergeError, createClient, mintToken } from '${join(ROOT, 'src/client/index.ts')}'

export async function use(blob: Blob, stream: ReadableStream<Uint8Array>, signal: AbortSignal): Promise<void> {
  const client = createClient({ url: 'https://verge.example', fetch: (url, init) => fetch(url, init), timeoutMs: 1 })
  const labels: readonly Label[] = await client.classify('m', blob, { parameters: { top_k: 2 }, signal })
  const lists: readonly (readonly Label[])[] = await client.classify('m', ['a', 'b'])
  const vector: Float32Array = await client.embed('m', 'a')
  const vectors: readonly Float32Array[] = await client.embed('m', ['a'], { parameters: { dimensions: 8 } })
  const box: number | undefined = (await client.detect('m', stream))[0]?.box.xmin
  const start: number | undefined = (await client.detectSpeech('m', new Uint8Array(4).buffer)).segments[0]?.start
  const first: number | undefined = (await client.rerank('m', 'q', ['d'], { parameters: { top_n: 1 } }))[0]?.index
  for await (const delta of client.chat('m', 'hello', { parameters: { temperature: 0 } })) {
    const { text, usage }: TextDelta = delta
    console.log(text, usage?.total_tokens)
  }
  const written: string = (await client.complete('m', ['a', 'b'], { signal }).answer()).text
  const { outputs } = await client.infer('m', { x: { shape: [1], data: Float32Array.of(1) } }, { outputs: ['y'] })
  const y: Tensor | undefined = outputs.y
  if (y?.datatype === 'INT64') console.log(y.data satisfies BigInt64Array)
  const own = await client.run<{ answer: string }>('m', { question: 'q', context: 'c' })
  console.log(labels, lists, vector, vectors, box, start, first, written, own.answer)
  try {
    await client.models()
  } catch (error) {
    if (error instanceof VergeError && error.code === 'overloaded') console.log(error.retryAfter, error.details.limit)
    // @ts-expect-error No code of the server.
    if (error instanceof VergeError && error.code === 'overlaoded') return
  }
  createClient({ url: 'https://verge.example', token: async () => (await mintToken({ key: '', origins: [], models: [] })).token })
  // @ts-expect-error A token is for pages that it names.
  await mintToken({ key: '', models: ['m'] })
  // @ts-expect-error A url is needed.
  createClient({})
  // @ts-expect-error A function is nothing that JSON holds.
  await client.run('m', () => 1)
  // @ts-expect-error Pictures come as bytes.
  await client.detect('m', 'picture.png')
  // @ts-expect-error Messages have roles.
  client.chat('m', [{ content: 'hello' }])
  // @ts-expect-error A misspelt parameter.
  client.chat('m', 'hello', { parameters: { temprature: 0 } })
  // @ts-expect-error A tensor has a shape.
  await client.infer('m', { x: { data: Float32Array.of(1) } })
  // @ts-expect-error Not a datatype.
  await client.infer('m', { x: { shape: [1], datatype: 'FP8', data: Float32Array.of(1) } })
}
`

describe('the types of the client', () => {
  it.each([
    { where: 'a page', lib: ['ES2022', 'DOM', 'DOM.Iterable'], types: [] },
    { where: 'Node', lib: ['ES2022'], types: ['node'] },
    { where: 'a Worker', lib: ['ES2024'], types: ['@cloudflare/workers-types'] },
  ])('are checked in $where', async ({ lib, types }) => {
    // in the repository, because packages of types are looked for from here upwards
    const cache = join(ROOT, 'node_modules/.cache')
    await mkdir(cache, { recursive: true })
    const folder = await mkdtemp(join(cache, 'client-'))
    try {
      const compilerOptions = { lib, types, incremental: false, target: 'ES2022' }
      await writeFile(join(folder, 'use.ts'), USE)
      await writeFile(
        join(folder, 'tsconfig.json'),
        JSON.stringify({ extends: join(ROOT, 'tsconfig.base.json'), compilerOptions, files: ['use.ts'] }),
      )
      const tsc = join(ROOT, 'node_modules/.bin/tsc')
      const { stdout } = await promisify(execFile)(tsc, ['-p', folder], { cwd: ROOT }).catch(
        (error: { stdout: string }) => error,
      )
      expect(stdout).toBe('')
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
