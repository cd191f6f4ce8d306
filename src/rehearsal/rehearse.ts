import type { Verge } from '../assemble/assemble.ts'
import type { Env } from '../assemble/env.ts'
import type { Platform } from '../assemble/shared.ts'
import { ALIAS_SCHEMA, type Alias } from '../catalog/alias.ts'
import { aliasKey, blobKey, manifestKey } from '../catalog/keys.ts'
import { MANIFEST_SCHEMA, type Manifest } from '../catalog/manifest.ts'
import { silentLogger } from '../core/runtime.ts'
import { sha256Factory, sha256Hex } from '../core/sha256.ts'
import { type Tensors, tensor } from '../core/tensors.ts'
import { writeArtifact } from '../engine/verge/artifact.ts'
import { signatureOf } from '../engine/verge/tensors.ts'
import { VERGE_ENGINE_VERSION } from '../engine/verge/version.ts'
import { inferPath, writeInferRequest } from '../protocols/oip/write-request.ts'
import { rehearsalPlan } from './model.ts'
import { rehearseTexts } from './texts.ts'

const NAME = 'rehearsal'
const VERSION = '1'

/**
 * Serves a made-up model to a made-up request while the isolate starts. V8 compiles a function when it is called first, also
 * those of the kernels, and schemas are built when they are used first. Without this, the first request would do it all, in
 * CPU time that is billed and limited to 10 ms on the free plan; the start-up is neither.
 *
 * It has a Worker of its own, with stores in memory, whose clock stands still. At start-up the platform allows neither I/O nor
 * timers, and no body of an answer: there the rehearsal ends, and whatever else ends it early does no harm.
 * @param assemble puts a Worker together
 */
export async function rehearse(assemble: (env: Env, platform: Platform) => Promise<Verge>): Promise<void> {
  rehearseTexts()
  const { bindings, inputs } = await stage()
  const { app } = await assemble(bindings, PLATFORM)
  for (const binary of [true, false]) {
    const { body, headers } = writeInferRequest(inputs, { binary })
    const url = `https://${NAME}.invalid${inferPath(NAME)}`
    const length = { 'content-length': String(body.length) }
    const request = new HeldRequest(url, { method: 'POST', headers: { ...headers, ...length } }, body)
    try {
      await app.fetch(request, {}, { waitUntil() {}, passThroughOnException() {}, props: undefined })
    } catch {
      // The answer, which could not be made.
    }
  }
}

const PLATFORM: Platform = {
  clock: { now: () => 0, sleep: () => new Promise(() => {}), after: () => () => {} },
  logger: silentLogger,
  random: () => 0,
  randomId: () => NAME,
}

/** A request with its body in memory: at start-up, the platform makes none that has one. */
class HeldRequest extends Request {
  readonly #content: Uint8Array<ArrayBuffer>

  constructor(url: string, init: RequestInit, content: Uint8Array<ArrayBuffer>) {
    super(url, init)
    this.#content = content
  }

  override get body(): ReadableStream<Uint8Array> {
    return streamOf(this.#content)
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#content.slice().buffer
  }
}

function streamOf(bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: 'bytes',
    pull(controller) {
      controller.enqueue(bytes.slice())
      controller.close()
      controller.byobRequest?.respond(0)
    },
  })
}

/** The stores with the model, and inputs for it. */
async function stage(): Promise<{ readonly bindings: Env; readonly inputs: Tensors }> {
  const { plan, imageBytes } = rehearsalPlan()
  const { bytes } = writeArtifact(plan, imageBytes)
  const digest = (content: Uint8Array) => sha256Hex(sha256Factory(), content)
  const sha256 = await digest(bytes)
  const { inputs, outputs } = signatureOf(plan)
  const manifest: Manifest = {
    schema: MANIFEST_SCHEMA,
    model: NAME,
    version: VERSION,
    inputs: inputs.map((spec) => ({ ...spec, shape: [...spec.shape] })),
    outputs: outputs.map((spec) => ({ ...spec, shape: [...spec.shape] })),
    artifacts: [
      {
        id: NAME,
        format: 'verge',
        dtype: 'q8',
        places: ['edge'],
        runtime: `verge ${VERGE_ENGINE_VERSION}`,
        sha256,
        bytes: bytes.length,
        chunks: [{ sha256, bytes: bytes.length }],
        memoryBytes: bytes.length,
        activations: { base: 0, perElement: 0 },
        cost: { base: 0, perElement: 0 },
      },
    ],
  }
  const stored = json(manifest)
  const alias: Alias = {
    schema: ALIAS_SCHEMA,
    model: NAME,
    generation: 1,
    visibility: 'public',
    versions: { [VERSION]: await digest(stored) },
    live: [{ version: VERSION, weight: 1 }],
  }
  const values = new Map([
    [aliasKey(NAME), json(alias)],
    [manifestKey(NAME, VERSION), stored],
    [blobKey(sha256), bytes],
  ])
  return { bindings: bindingsOf(values), inputs: tensors() }
}

function json(value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(JSON.stringify(value)))
}

/** KV, as far as a Worker reads from it; everything is found there. */
function bindingsOf(values: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Env {
  const namespace = {
    async getWithMetadata(key: string) {
      const value = values.get(key)
      if (value === undefined) return { value: null, metadata: null }
      return { value: streamOf(value), metadata: { bytes: value.length } }
    },
  }
  return { BUCKET: {}, KV: namespace } as unknown as Env
}

function tensors(): Tensors {
  const words = [1n, 2n, 3n, 4n]
  return new Map([
    ['input_ids', tensor('INT64', [1, words.length], BigInt64Array.from(words))],
    [
      'attention_mask',
      tensor(
        'INT64',
        [1, words.length],
        BigInt64Array.from(words, () => 1n),
      ),
    ],
    ['image', tensor('FP32', [1, 1, 8, 8], new Float32Array(64))],
  ])
}
