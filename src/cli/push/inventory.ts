import type { Alias } from '../../catalog/alias.ts'
import type { Manifest } from '../../catalog/manifest.ts'
import { CatalogReader } from '../../catalog/reader.ts'
import { blobsOf } from '../../catalog/servable.ts'
import { isVergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { type Logger, silentLogger, systemClock } from '../../core/runtime.ts'
import type { Store } from '../../weights/store.ts'
import { nodeSha256 } from '../pack/bytes.ts'
import { inParallel } from './pool.ts'

export interface VersionRecord {
  readonly version: string
  /** SHA-256 of the manifest. */
  readonly digest: string
  /** Share of the requests that name no version, 0 to 1. */
  readonly share: number
  /** Null where it cannot be read, for the reason in `fault`. */
  readonly manifest: Manifest | null
  readonly fault?: string
}

export interface ModelRecord {
  readonly alias: Alias
  readonly versions: readonly VersionRecord[]
}

export interface Inventory {
  readonly models: readonly ModelRecord[]
  /** What could not be read and is left out, a line each. */
  readonly faults: readonly string[]
}

/** Reads the catalogue as the truth has it. Nothing is kept longer than the reader. */
export function readerOf(truth: Store, logger: Logger = silentLogger): CatalogReader {
  return new CatalogReader([truth], {
    sha256: nodeSha256,
    clock: systemClock,
    logger,
    // each object is read once, or must be read again
    limits: { ...LIMITS, aliasTtlMs: 0 },
  })
}

/** Every model with its live versions, by name. @throws store_unavailable */
export async function listModels(truth: Store, signal?: AbortSignal): Promise<Inventory> {
  const faults: string[] = []
  const report = (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
    const { error, limit } = fields
    if (error instanceof Error) faults.push(error.message)
    else if (event === 'list_truncated')
      faults.push(`There are more than ${String(limit)} models; the others are not listed.`)
  }
  const reader = readerOf(truth, { info: report, warn: report, error: report })
  const models: ModelRecord[] = []
  for (const alias of await reader.list(signal)) {
    const live = alias.live.map(({ version }) => version)
    models.push({ alias, versions: await readVersions(reader, alias, live, signal) })
  }
  return { models, faults }
}

/** One model with all its versions, the live ones first; null if there is none. @throws alias_invalid, store_unavailable */
export async function readModel(truth: Store, model: string, signal?: AbortSignal): Promise<ModelRecord | null> {
  const reader = readerOf(truth)
  const alias = await reader.alias(model, signal)
  if (alias === null) return null
  const live = alias.live.map(({ version }) => version)
  const others = Object.keys(alias.versions).filter((version) => !live.includes(version))
  return { alias, versions: await readVersions(reader, alias, [...live, ...others], signal) }
}

async function readVersions(
  reader: CatalogReader,
  alias: Alias,
  names: readonly string[],
  signal?: AbortSignal,
): Promise<VersionRecord[]> {
  const total = alias.live.reduce((sum, { weight }) => sum + weight, 0)
  const records = new Map<string, VersionRecord>()
  const read = async (version: string): Promise<void> => {
    const digest = alias.versions[version] ?? ''
    const weight = alias.live.find((each) => each.version === version)?.weight ?? 0
    const base = { version, digest, share: weight / total }
    try {
      records.set(version, { ...base, manifest: await reader.manifest(alias.model, version, digest, signal) })
    } catch (error) {
      if (!isVergeError(error, 'manifest_invalid')) throw error
      records.set(version, { ...base, manifest: null, fault: error.message })
    }
  }
  await inParallel(names, LIMITS.parallelFetches, read, signal)
  return names.flatMap((name) => records.get(name) ?? [])
}

/** Sum of the chunks that a manifest names, each counted once. */
export function storedBytes(manifest: Manifest): number {
  const chunks = new Map(blobsOf(manifest).flatMap((blob) => blob.chunks.map(({ sha256, bytes }) => [sha256, bytes])))
  return [...chunks.values()].reduce((sum, bytes) => sum + bytes, 0)
}
