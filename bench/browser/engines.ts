/**
 * A web worker that measures Verge's own engine and onnxruntime-web on one model, in turn. Both get their bytes beforehand, and
 * both run in this thread.
 */

import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url'
import * as ort from 'onnxruntime-web/wasm'
import { browserAssets } from '../../src/browser/runtime/assets.ts'
import { Engines } from '../../src/browser/runtime/engines.ts'
import { browserLimits } from '../../src/browser/runtime/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { type Tensor, tensor } from '../../src/core/tensors.ts'
import { hasRelaxedSimd } from '../../src/engine/verge/capabilities.ts'
import type { Compared, ComparedAll, Comparison } from './messages.ts'

/** Of the token ids that the vocabulary has. */
const TOKEN_IDS = 1_000

interface Runner {
  /** @returns the first output */
  run(length: number): Promise<Float32Array>
}

addEventListener('message', async ({ data }: MessageEvent<Comparison>) => {
  try {
    postMessage({ compared: await compare(data) })
  } catch (error) {
    postMessage({ failed: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
})

async function compare(comparison: Comparison): Promise<ComparedAll> {
  const [onnx, own] = await Promise.all([comparison.onnx, comparison.own].map(bytesAt))
  if (onnx === undefined || own === undefined) throw new Error('Two files are needed.')
  const [ownRunner, ownLoadMs] = await timed(() => loadOwn(own))
  const [webRunner, webLoadMs] = await timed(() => loadWeb(onnx))
  const lengths: Compared[] = []
  for (const length of comparison.lengths) lengths.push(await compareAt(length, ownRunner, webRunner, comparison))
  return { ownLoadMs, webLoadMs, relaxed: hasRelaxedSimd(), lengths }
}

async function compareAt(length: number, own: Runner, web: Runner, comparison: Comparison): Promise<Compared> {
  const [ownOutput, ownFirstMs] = await timed(() => own.run(length))
  const [webOutput, webFirstMs] = await timed(() => web.run(length))
  for (const runner of [own, web]) await repeated(runner, length, comparison.warmUpMs)
  const times: { own: number[][]; web: number[][] } = { own: [], web: [] }
  for (let round = 0; round < comparison.rounds; round++) {
    times.own.push(await repeated(own, length, comparison.roundMs))
    times.web.push(await repeated(web, length, comparison.roundMs))
  }
  return { length, ...times, ownFirstMs, webFirstMs, cosine: cosine(ownOutput, webOutput) }
}

async function repeated(runner: Runner, length: number, ms: number): Promise<number[]> {
  const times: number[] = []
  const end = performance.now() + ms
  while (performance.now() < end || times.length < 3) {
    const [, took] = await timed(() => runner.run(length))
    times.push(took)
  }
  return times
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const begun = performance.now()
  const result = await work()
  return [result, performance.now() - begun]
}

/** As the runtime has it, which a request reaches when no other has just run. */
async function loadOwn(bytes: Uint8Array): Promise<Runner> {
  const runs = { finished: 0 }
  const engine = await new Engines({
    assets: browserAssets,
    limits: browserLimits(),
    clock: systemClock,
    logger: silentLogger,
    runs,
  }).get('verge')
  const { signal } = new AbortController()
  const info = { sha256: '0'.repeat(64), format: 'verge' as const, bytes: bytes.length }
  const source = {
    bytes: bytes.length,
    deliver: async (write: (at: number, data: Uint8Array) => void) => write(0, bytes),
  }
  const session = await engine.load(info, source, { signal })
  return {
    async run(length) {
      const inputs = Object.entries(tokens(length)).map(([name, ids]): [string, Tensor] => [
        name,
        tensor('INT64', [1, length], ids),
      ])
      const outputs = await session.run(new Map(inputs), { signal, runsBefore: runs.finished })
      return outputs.values().next().value?.data as Float32Array
    },
  }
}

/** As a page uses the package: one thread, default options. */
async function loadWeb(onnx: Uint8Array): Promise<Runner> {
  ort.env.wasm.numThreads = 1
  ort.env.wasm.wasmPaths = { wasm }
  const session = await ort.InferenceSession.create(onnx)
  return {
    async run(length) {
      const feeds = Object.fromEntries(
        Object.entries(tokens(length)).map(([name, ids]) => [name, new ort.Tensor('int64', ids, [1, length])]),
      )
      const outputs = await session.run(feeds)
      return outputs[session.outputNames[0] ?? '']?.data as Float32Array
    },
  }
}

/** A text of made-up tokens. */
function tokens(length: number): Record<'input_ids' | 'attention_mask', BigInt64Array<ArrayBuffer>> {
  return {
    input_ids: BigInt64Array.from({ length }, (_, index) => BigInt(10 + ((index * 7919) % (TOKEN_IDS - 10)))),
    attention_mask: new BigInt64Array(length).fill(1n),
  }
}

async function bytesAt(url: string): Promise<Uint8Array> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url} answered ${response.status}`)
  return new Uint8Array(await response.arrayBuffer())
}

function cosine(a: Float32Array, b: Float32Array): number {
  let dot = 0
  let [ofA, ofB] = [0, 0]
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? 0
    dot += value * other
    ofA += value * value
    ofB += other * other
  }
  return dot / Math.sqrt(ofA * ofB)
}
