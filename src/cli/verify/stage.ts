import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Artifact, Blob } from '../../catalog/manifest.ts'
import type { CatalogWriter } from '../../catalog/writer.ts'
import { VergeError } from '../../core/errors.ts'
import type { Tensors } from '../../core/tensors.ts'
import { bundleWorker } from '../local/bundle.ts'
import { startWorkerd, type WorkerdProcess } from '../local/workerd.ts'
import { type ClientInferRequest, inferRequest } from '../oip-client.ts'
import type { PackedModel } from '../pack/packer.ts'
import { localStores } from '../target/local.ts'
import { withoutItsSignals } from '../terminal/interrupt.ts'

/** Name that the model on trial has in its Worker. */
const STAGED = 'staged'

/** A running Worker over the staged models. */
export interface StagedWorker extends WorkerdProcess {
  /** A request to one artifact of the model on trial, by its place among the edge's artifacts. */
  request(artifact: number, inputs: Tensors, outputs?: readonly string[]): ClientInferRequest
  /** A request to another staged model. */
  requestTo(model: string, inputs: Tensors): ClientInferRequest
  /** Bytes of the engine's WebAssembly memory, by the Worker's own word. */
  heapBytes(): Promise<number>
}

/** A packed model in a temporary bucket, and Workers that serve it. */
export interface Stage {
  /** Artifacts meant for the edge, in the manifest's order. */
  readonly artifacts: readonly Artifact[]
  /** Does `work` with a fresh Worker process, which has loaded nothing yet. */
  withWorker<T>(work: (worker: StagedWorker) => Promise<T>): Promise<T>
}

export interface StageOptions {
  readonly signal: AbortSignal
  /** Models to stage beside it, by other names than `STAGED`. */
  readonly beside?: readonly { readonly name: string; readonly packed: PackedModel }[]
}

/**
 * Stores a packed model in temporary R2 and KV and lets Workers in real workerd processes serve it: each artifact for
 * the edge as a separate version, so that no artifact replaces another. Everything is deleted when `work` ends. Without
 * such an artifact nothing is stored, and there is no Worker.
 * @throws errors of `work`, manifest_invalid, store_unavailable, and the signal's reason
 */
export async function withStage<T>(
  packed: PackedModel,
  options: StageOptions,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const { signal, beside = [] } = options
  signal.throwIfAborted()
  const artifacts = edgeArtifacts(packed)
  // A model for elsewhere needs neither a Worker nor a bundle.
  if (artifacts.length === 0) return work({ artifacts, withWorker: () => Promise.reject(nothingStaged()) })
  const directory = await bundleWorker()
  const storage = await mkdtemp(join(tmpdir(), 'verge-stage-'))
  const key = randomBytes(24).toString('hex')
  const headers = { authorization: `Bearer ${key}` }
  const running = new Set<WorkerdProcess>()
  const ending = new Map<WorkerdProcess, Promise<void>>()
  // Each is ended once: a second time is an error.
  const end = (worker: WorkerdProcess): Promise<void> => {
    const ended = ending.get(worker) ?? worker.miniflare.dispose()
    ending.set(worker, ended)
    running.delete(worker)
    return ended
  }
  const stop = (): void => {
    for (const worker of running) end(worker).catch(() => undefined)
  }
  signal.addEventListener('abort', stop, { once: true })
  const start = async (): Promise<WorkerdProcess> => {
    signal.throwIfAborted()
    const worker = await withoutItsSignals(() => startWorkerd(directory, { storage, vars: { VERGE_API_KEY: key } }))
    running.add(worker)
    return worker
  }
  try {
    // The Worker that the models are stored through has loaded none of them, and serves as the first.
    let first: WorkerdProcess | undefined = await start()
    const writer = await writerOf(first)
    await store(writer, STAGED, packed)
    for (const { name, packed: other } of beside) await store(writer, name, other)
    return await work({
      artifacts,
      async withWorker(use) {
        signal.throwIfAborted()
        const worker = first ?? (await start())
        first = undefined
        try {
          return await use(stagedWorker(worker, headers))
        } finally {
          await end(worker)
        }
      },
    })
  } catch (error) {
    // A stopped Worker answers with its own failures; the signal's reason is the cause.
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    for (const worker of running) void end(worker)
    await Promise.allSettled(ending.values())
    await rm(storage, { recursive: true, force: true, maxRetries: 3 })
  }
}

function nothingStaged(): VergeError {
  return new VergeError('engine_unsupported', 'The model has no artifact for the edge.')
}

function edgeArtifacts({ manifest }: PackedModel): Artifact[] {
  return manifest.artifacts.filter(({ places }) => places.includes('edge'))
}

function stagedWorker(worker: WorkerdProcess, headers: Readonly<Record<string, string>>): StagedWorker {
  return {
    ...worker,
    request: (artifact, inputs, outputs) =>
      inferRequest(STAGED, inputs, { headers, version: versionOf(artifact), ...(outputs && { outputs }) }),
    requestTo: (model, inputs) => inferRequest(model, inputs, { headers }),
    heapBytes: () => heapBytes(worker.url, headers),
  }
}

function versionOf(artifact: number): string {
  return `a${artifact}`
}

async function writerOf(worker: WorkerdProcess): Promise<CatalogWriter> {
  const bucket = await worker.miniflare.getR2Bucket('BUCKET')
  const namespace = await worker.miniflare.getKVNamespace('KV')
  return localStores({ BUCKET: bucket as never, KV: namespace as never }).writer
}

async function store(writer: CatalogWriter, model: string, packed: PackedModel): Promise<void> {
  const { chunks, manifest } = packed
  const put = (blob: Blob): Promise<unknown> =>
    writer.putBlob(
      blob.chunks.map(({ sha256 }) => {
        const chunk = chunks.get(sha256)
        if (chunk === undefined) throw new VergeError('internal', `The packed model lacks its chunk ${sha256}.`)
        return chunk
      }),
      { verify: false },
    )
  for (const file of Object.values(manifest.files ?? {})) await put(file)
  for (const [index, artifact] of edgeArtifacts(packed).entries()) {
    await put(artifact)
    if (artifact.pages) await put(artifact.pages)
    const version = versionOf(index)
    await writer.publishVersion({ ...manifest, model, version, artifacts: [artifact] }, { live: true })
  }
}

async function heapBytes(url: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const answer = await fetch(`${url}/healthz`, { headers })
  const { heap_bytes } = (await answer.json()) as { heap_bytes?: unknown }
  if (typeof heap_bytes !== 'number')
    throw new VergeError('internal', `The Worker's health endpoint does not report its heap.`)
  return heap_bytes
}
