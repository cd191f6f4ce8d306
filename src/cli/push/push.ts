import type { Alias, Visibility } from '../../catalog/alias.ts'
import { existsAlready, isUnchanged, nextAlias, type PublishOptions, published } from '../../catalog/alias-changes.ts'
import { canonicalBytes } from '../../catalog/canonical-json.ts'
import { equal } from '../../catalog/copies.ts'
import { aliasKey, manifestKey } from '../../catalog/keys.ts'
import type { CatalogWriter } from '../../catalog/writer.ts'
import { abortError, isVergeError, throwIfAborted, VergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { readAtMost } from '../../weights/body.ts'
import { PAGE_PREFIX } from '../../weights/pages/layout.ts'
import type { Store } from '../../weights/store.ts'
import { sha256 } from '../pack/bytes.ts'
import type { PackedModel } from '../pack/packer.ts'
import { type Target, understandable } from '../target/target.ts'
import { binarySize, counted } from '../terminal/format.ts'
import { type Progress, silentProgress } from '../terminal/progress.ts'
import { chunksOf, holds, type PackedChunk, putChecked } from './chunks.ts'
import { leftovers } from './cooling.ts'
import { readerOf } from './inventory.ts'
import { type CopiedPages, copyPages, countOf, dropKeys, lookForPages, NO_PAGES, pageSteps } from './page-copies.ts'
import { inParallel } from './pool.ts'
import { readManifestRecord } from './references.ts'
import { unmark } from './unreferenced.ts'

export type PushTarget = Pick<Target, 'truth' | 'copies' | 'writer'>

export interface PushOptions {
  /** As `PublishOptions` has it. The first version of a model has to be live. */
  readonly live: PublishOptions['live']
  /** Left as it is if not said; a new model gets what its package says. */
  readonly visibility?: Visibility
  /** Chunks on their way at once: 4 if left out. Each is in memory anyway. */
  readonly concurrency?: number
  readonly progress?: Progress
  /** Ends the push before the alias has moved, or not at all. */
  readonly signal?: AbortSignal
  /** Copies pages of embedding tables too, where the model is hot: thousands of writes. They are copied if this is left out. */
  readonly pageCopies?: boolean
  /** Looks and says what would be done. Writes nothing. */
  readonly dryRun?: boolean
  /** Reads all stored objects, including copies, and compares their digests instead of trusting etags and sizes. */
  readonly thorough?: boolean
}

export interface PushResult {
  readonly model: string
  readonly version: string
  /** SHA-256 of the manifest. */
  readonly digest: string
  /** Of the alias: as it is now, or after a dry run as it would be. */
  readonly generation: number
  readonly visibility: Visibility
  readonly live: Alias['live']
  /** Chunks that were written, or would be, counted once for each store. */
  readonly sent: number
  /** Chunks that were there already, counted alike. */
  readonly skipped: number
  readonly bytesSent: number
  /** Copies of pages, where the model has some. */
  readonly pages?: CopiedPages
  /** Copies that were deleted, or would be, because the model is no longer hot. */
  readonly removed: number
  /** Writes of every kind; 0 if everything was there already, and after a dry run. */
  readonly written: number
  /** Whether the alias moved, or would. */
  readonly moves: boolean
  /** Whether a copy of the manifest or of the alias is missing or old. Looked for in a dry run alone. */
  readonly outdated: boolean
  readonly dryRun: boolean
  /** The changes, done or planned, one line each. */
  readonly steps: readonly string[]
}

/** A chunk that a store lacks. */
interface Lack {
  readonly chunk: PackedChunk
  readonly stores: readonly Store[]
}

const CONCURRENCY = 4

/**
 * Stores a packed model, and makes its version live if requested. It first looks for stored chunks, so that an
 * interrupted push continues and a repeated push sends nothing. The order is: chunks, each verified on arrival; the
 * manifest; and, after a check that the source of truth has every chunk, the alias by one conditional write. A push
 * that ends earlier leaves the alias unchanged.
 * @throws conflict if the version exists with other contents, manifest_invalid, weights_corrupt, store_unavailable,
 * UsageError with the message of a remote store, cancelled
 */
export async function pushModel(target: PushTarget, packed: PackedModel, options: PushOptions): Promise<PushResult> {
  const signal = options.signal ?? new AbortController().signal
  try {
    return await push(target, packed, { ...options, signal })
  } catch (error) {
    if (signal.aborted) throw abortError(signal)
    throw understandable(error)
  }
}

async function push(
  target: PushTarget,
  packed: PackedModel,
  options: PushOptions & { readonly signal: AbortSignal },
): Promise<PushResult> {
  const { signal, progress = silentProgress, dryRun = false, concurrency = CONCURRENCY } = options
  const { model, version } = packed.manifest
  throwIfAborted(signal)
  const chunks = chunksOf(packed)
  const digest = sha256(canonicalBytes(packed.manifest))
  const old = await readerOf(target.truth).alias(model, signal)
  await assertNoConflict(target.truth, packed, digest, old, signal)
  // for a dry run, and to find out before anything is sent that it would be refused
  const wanted = { live: options.live, visibility: options.visibility ?? old?.visibility ?? packed.visibility }
  const change = published(model, version, digest, wanted)
  const planned = nextAlias(model, old, change)

  const lacks = await look(target, chunks, { ...options, model, concurrency, progress })
  const stores = [target.truth, ...target.copies]
  const steps = stores.map((store) => chunkStep(store, target, chunks, lacks, dryRun))
  const sent = lacks.reduce((sum, lack) => sum + lack.stores.length, 0)
  const needed = chunks.reduce((sum, { hot }) => sum + (hot ? stores.length : 1), 0)
  const bytesSent = lacks.reduce((sum, { chunk, stores }) => sum + chunk.bytes * stores.length, 0)
  const cold = packed.hot
    ? []
    : await leftovers(target, chunks, { pages: pageFiles(packed), model, version, alias: planned, concurrency, signal })
  for (const store of target.copies) {
    const keys = cold.filter((each) => each.store === store).map(({ key }) => key)
    const paged = keys.filter((key) => key.startsWith(PAGE_PREFIX)).length
    for (const [count, what] of [
      [keys.length - paged, 'chunk'],
      [paged, 'page'],
    ] as const) {
      const verb = dryRun ? 'would lose' : 'lost'
      if (count > 0)
        steps.push(`${store.name.toUpperCase()}: ${verb} ${counted(count, what)} copied when the model was hot`)
    }
  }
  const lackingPages = options.pageCopies === false ? NO_PAGES : await lookForPages(target, packed, options)
  const base = { model, version, digest, sent, skipped: needed - sent, bytesSent, removed: cold.length, dryRun }
  if (dryRun) {
    const moves = !isUnchanged(old, planned)
    const alias = old === null || moves ? planned : old
    const outdated = await isOutdated(target, [aliasKey(model), manifestKey(model, version)], signal)
    const { all, lacks } = lackingPages
    steps.push(...pageSteps(lackingPages, undefined), aliasStep(old, alias, dryRun))
    const pages = all > 0 && { pages: { all, copied: countOf(lacks) } }
    const { generation, visibility, live } = alias
    return { ...base, ...pages, generation, visibility, live, written: 0, moves, outdated, steps }
  }

  // a sweep that would begin soon leaves what a push relies on
  await unmark(
    target.truth,
    chunks.map((chunk) => chunk.sha256),
    signal,
  )
  const send = (missing: readonly Lack[]) => sendChunks(target, missing, { model, concurrency, progress, signal })
  await send(lacks)
  // before the alias moves: a data centre that has looked for a page in vain may remember that for a day
  const pages = await copyPages(lackingPages, packed, { progress, signal })
  steps.push(...pageSteps(lackingPages, pages))
  const release = await publishWhole(target, packed, wanted, {
    signal,
    sendAgain: async () => send(await look(target, chunks, { ...options, model, concurrency, progress })),
  })
  steps.push(aliasStep(old, release.alias, dryRun))
  // the alias has changed, so the remaining steps run even after an interruption
  for (const store of target.copies) {
    await dropKeys(
      store,
      cold.filter((each) => each.store === store).map(({ key }) => key),
    )
  }
  return {
    ...base,
    ...(pages.all > 0 && { pages }),
    generation: release.alias.generation,
    visibility: release.alias.visibility,
    live: release.alias.live,
    written: sent + pages.copied + cold.length + release.written + release.copied + (release.changed ? 1 : 0),
    moves: release.changed,
    outdated: false,
    steps,
  }
}

/** Writes chunks to the stores that lack them. */
async function sendChunks(
  { truth }: PushTarget,
  lacks: readonly Lack[],
  options: {
    readonly model: string
    readonly concurrency: number
    readonly progress: Progress
    readonly signal: AbortSignal
  },
): Promise<void> {
  if (lacks.length === 0) return
  const { model, concurrency, progress, signal } = options
  const sent = lacks.reduce((sum, { stores }) => sum + stores.length, 0)
  const bytes = lacks.reduce((sum, { chunk, stores }) => sum + chunk.bytes * stores.length, 0)
  const task = progress.task(`Sending ${model}`, bytes)
  const send = async ({ chunk, stores }: Lack): Promise<void> => {
    for (const store of stores) {
      await putChecked(store, chunk, { isTruth: store === truth, signal })
      task.advance(chunk.bytes)
    }
  }
  await inParallel(lacks, concurrency, send, signal)
  task.done(`${binarySize(bytes)} in ${counted(sent, 'chunk')}`)
}

/**
 * Publishes the version. Chunks that another command deleted after this one had seen them are sent again; the manifest,
 * which is stored by then, keeps them.
 */
async function publishWhole(
  { writer }: PushTarget,
  { manifest }: PackedModel,
  wanted: PublishOptions,
  { sendAgain, signal }: { readonly sendAgain: () => Promise<void>; readonly signal: AbortSignal },
): Promise<Awaited<ReturnType<CatalogWriter['publishVersion']>>> {
  try {
    return await writer.publishVersion(manifest, { ...wanted, signal })
  } catch (error) {
    if (!isVergeError(error, 'weights_unavailable')) throw error
    await sendAgain()
    return writer.publishVersion(manifest, { ...wanted, signal })
  }
}

/** Digests of the files of pages that a model has. */
function pageFiles({ manifest }: PackedModel): string[] {
  return manifest.artifacts.flatMap(({ pages }) => pages?.sha256 ?? [])
}

/** Checks before sending whether the writer would refuse the push at the end. @throws conflict */
export async function assertNoConflict(
  truth: Store,
  { manifest }: PackedModel,
  digest: string,
  alias: Alias | null,
  signal: AbortSignal,
): Promise<void> {
  const { model, version } = manifest
  const known = alias !== null && Object.hasOwn(alias.versions, version) ? alias.versions[version] : undefined
  if (known !== undefined) {
    // a different stored manifest is damaged, and the writer replaces it
    if (known === digest) return
    throw existsAlready(model, version)
  }
  const found = await truth.get(manifestKey(model, version), { signal })
  if (found === null) return
  const stored = await readAtMost(found.body, LIMITS.manifestBytes, signal)
  if (stored !== null && sha256(stored) === digest) return
  throw new VergeError(
    'conflict',
    `A push of version "${version}" of model "${model}" was started with other contents and never went live. Push under ` +
      `another version name, or remove that push: npx verge rm ${model}@${version}`,
    { details: { model, version } },
  )
}

/** Whether a copy of one of these keys is another than the truth's, or cannot be read. */
async function isOutdated(
  { truth, copies }: PushTarget,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  const { manifestBytes } = LIMITS
  for (const key of keys) {
    const wanted = await readManifestRecord(truth, key, manifestBytes, signal)
    for (const copy of copies) {
      const found = await readManifestRecord(copy, key, manifestBytes, signal).catch((error: unknown) => {
        if (isVergeError(error, 'store_unavailable')) return null
        throw error
      })
      if (!equal(found, wanted)) return true
    }
  }
  return false
}

/** What each store lacks, the truth named before the copies. */
async function look(
  target: PushTarget,
  chunks: readonly PackedChunk[],
  options: {
    readonly model: string
    readonly concurrency: number
    readonly thorough?: boolean
    readonly signal: AbortSignal
    progress: Progress
  },
): Promise<Lack[]> {
  const { model, concurrency, thorough = false, signal, progress } = options
  const task = progress.task(`Looking for stored chunks of ${model}`, chunks.length, 'steps')
  const found: Lack[] = []
  const lookFor = async (chunk: PackedChunk): Promise<void> => {
    const stores: Store[] = []
    for (const store of chunk.hot ? [target.truth, ...target.copies] : [target.truth]) {
      const isTruth = store === target.truth
      if (!(await holds(store, chunk, { isTruth, thorough, signal }))) stores.push(store)
    }
    if (stores.length > 0) found.push({ chunk, stores })
    task.advance(1)
  }
  await inParallel(chunks, concurrency, lookFor, signal)
  task.done(
    found.length === 0 ? 'all chunks are stored' : `${found.length} of ${counted(chunks.length, 'chunk')} to send`,
  )
  return found
}

function chunkStep(
  store: Store,
  target: PushTarget,
  chunks: readonly PackedChunk[],
  lacks: readonly Lack[],
  dryRun: boolean,
): string {
  const meant = store === target.truth ? chunks : chunks.filter(({ hot }) => hot)
  const missing = lacks.filter(({ stores }) => stores.includes(store)).map(({ chunk }) => chunk)
  const size = (list: readonly PackedChunk[]): string => binarySize(list.reduce((sum, chunk) => sum + chunk.bytes, 0))
  const name = store.name.toUpperCase()
  if (meant.length === 0) return `${name}: no chunks, because the model is not hot`
  if (missing.length === 0) return `${name}: has ${meant.length} of ${counted(meant.length, 'chunk')} (${size(meant)})`
  const verb = dryRun ? 'would get' : 'got'
  return `${name}: ${verb} ${missing.length} of ${counted(meant.length, 'chunk')} (${size(missing)} of ${size(meant)})`
}

function aliasStep(old: Alias | null, next: Alias, dryRun: boolean): string {
  const live = describeLive(next.live)
  if (old !== null && next.generation === old.generation) {
    return `alias: stays at generation ${old.generation}; live: ${live}`
  }
  const was = old === null ? '' : ` (was ${describeLive(old.live)})`
  const verb = dryRun ? 'would move' : 'moved'
  return `alias: ${verb} to generation ${next.generation}, ${next.visibility}; live: ${live}${was}`
}

/** `2`, or `1 (90 %), 2 (10 %)`. */
export function describeLive(live: Alias['live']): string {
  const total = live.reduce((sum, { weight }) => sum + weight, 0)
  if (live.length === 1) return live[0]?.version ?? ''
  return live
    .map(({ version, weight }) => `${version} (${Number(((weight / total) * 100).toPrecision(3))} %)`)
    .join(', ')
}
