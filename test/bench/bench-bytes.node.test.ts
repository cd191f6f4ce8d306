/** Byte counts that do not depend on time: what a change may not make worse without somebody noticing. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { beforeAll, describe, expect, it } from 'vitest'
import { encoderModel, MINILM } from '../../bench/models/encoder.ts'
import { MADE_MODELS } from '../../bench/models/index.ts'
import type { Artifact, Blob } from '../../src/catalog/manifest.ts'
import { nodeSha256, sha256, toBlob } from '../../src/cli/pack/bytes.ts'
import { toOrtFormat } from '../../src/cli/pack/convert.ts'
import { edgeEngine } from '../../src/cli/pack/edge-engine.ts'
import { LIMITS } from '../../src/core/limits.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { tensor } from '../../src/core/tensors.ts'
import { bodyOf, byteReaderOf } from '../../src/weights/body.ts'
import { BlobLoader } from '../../src/weights/loader.ts'
import type { Store } from '../../src/weights/store.ts'

const MB = 1e6

/** Collects all garbage now, so that what is counted afterwards is in use. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

/** Chunks in memory, as a store hands them out: streamed, and counted. */
class CountingStore implements Pick<Store, 'name' | 'get'> {
  readonly name = 'memory'
  readonly #pieces: ReadonlyMap<string, Uint8Array>
  reads = 0
  bytes = 0

  constructor(pieces: ReadonlyMap<string, Uint8Array>) {
    this.#pieces = pieces
  }

  async get(key: string): ReturnType<Store['get']> {
    const piece = this.#pieces.get(key.slice('blob/sha256/'.length))
    if (!piece) return null
    this.reads++
    const pieces = byteReaderOf(piece)
    const counted = {
      next: async () => {
        const next = await pieces.next()
        this.bytes += next?.length ?? 0
        return next
      },
      cancel: pieces.cancel,
    }
    return { bytes: piece.length, body: bodyOf(counted, { store: this.name }) }
  }
}

describe("an encoder of MiniLM's shape in int8", () => {
  let ort: Uint8Array
  let blob: Blob
  let pieces: ReadonlyMap<string, Uint8Array>

  beforeAll(async () => {
    const onnx = encoderModel(MINILM, 'int8')
    expect(sha256(onnx)).toBe(MADE_MODELS['encoder-int8'].sha256)
    ort = (await toOrtFormat(onnx)).bytes
    ;({ blob, pieces } = toBlob(ort, LIMITS.chunkBytes))
  })

  const artifact = (): Artifact => ({
    ...blob,
    chunks: [...blob.chunks],
    id: 'edge-int8',
    format: 'ort',
    dtype: 'int8',
    places: ['edge'],
  })

  const sourceFrom = (store: CountingStore) =>
    new BlobLoader([store as unknown as Store], {
      limits: LIMITS,
      sha256: nodeSha256,
      clock: systemClock,
      logger: silentLogger,
    }).source(blob)

  it('is hardly larger in the form that the edge loads', () => {
    expect(ort.length).toBeLessThan(23 * MB)
  })

  it('takes at most 1.8 times its size of WebAssembly memory, the runtime included', async () => {
    const engine = await edgeEngine()
    const signal = new AbortController().signal
    const session = await engine.load(artifact(), sourceFrom(new CountingStore(pieces)), { signal })
    const { heapBytes } = engine.instance
    expect(heapBytes / ort.length).toBeLessThanOrEqual(1.8)

    const inputs = new Map(
      ['input_ids', 'attention_mask'].map((name) => [name, tensor('INT64', [1, 16], new BigInt64Array(16).fill(1n))]),
    )
    const outputs = await session.run(inputs, { signal })
    expect(outputs.get('last_hidden_state')?.shape).toEqual([1, 16, MINILM.hidden])
    // Room for a short text's activations is there already.
    expect(engine.instance.heapBytes).toBe(heapBytes)
    session.dispose()
  })

  it('is read once, byte for byte and chunk for chunk, and loaded with less than two chunks beside it', async () => {
    const collect = garbageCollector()
    const engine = await edgeEngine()
    await engine.health()
    const store = new CountingStore(pieces)
    const source = sourceFrom(store)
    const signal = new AbortController().signal
    collect()
    const before = process.memoryUsage()
    let written = 0
    let deliveries = 0
    let extra = 0
    const session = await engine.load(
      artifact(),
      {
        bytes: source.bytes,
        deliver: (write, inner) =>
          source.deliver((offset, data) => {
            write(offset, data)
            written += data.length
            // Every eighth piece: a collection takes milliseconds, and a chunk comes in 128 pieces.
            if (deliveries++ % 8 !== 0) return
            collect()
            const now = process.memoryUsage()
            extra = Math.max(extra, now.arrayBuffers + now.heapUsed - before.arrayBuffers - before.heapUsed)
          }, inner),
      },
      { signal },
    )
    expect(deliveries).toBeGreaterThan(100)
    expect(written).toBe(ort.length)
    expect(store.bytes).toBe(ort.length)
    expect(store.reads).toBe(Math.ceil(ort.length / LIMITS.chunkBytes))
    expect(extra).toBeLessThan(2 * LIMITS.chunkBytes)
    session.dispose()
  })
})
