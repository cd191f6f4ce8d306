import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LIMITS } from '../../core/limits.ts'
import { silentLogger, systemClock } from '../../core/runtime.ts'
import type { Session } from '../../engine/engine.ts'
import { hasRelaxedSimd } from '../../engine/verge/capabilities.ts'
import { VergeEngine, type VergeEngineOptions } from '../../engine/verge/engine.ts'
import { SOURCE } from '../files/project.ts'
import { memorySource } from '../pack/bytes.ts'

/** This machine has more memory than an isolate. */
const MEMORY_BYTES = 1024 * 1024 * 1024

/** Verge's own engine in this process. */
export async function vergeHere(options: Pick<VergeEngineOptions, 'onStep'> = {}): Promise<VergeEngine> {
  return new VergeEngine({
    kernels: await kernels(),
    heapLimitBytes: MEMORY_BYTES,
    ...{ turnLeaseMs: 60_000, loadStaleMs: 60_000, costBetweenYields: Number.POSITIVE_INFINITY },
    // A yield between two steps would be in neither's time, and cool the caches.
    workBetweenYields: Number.POSITIVE_INFINITY,
    pageBytes: LIMITS.pageBytes,
    pageCacheBytes: LIMITS.pageCacheBytes,
    pageBytesInFlight: LIMITS.pageBytesInFlight,
    heldRowBytes: LIMITS.heldRowBytes,
    heldRowsLeaseMs: LIMITS.requestDeadlineMs,
    runs: { finished: 0 },
    clock: systemClock,
    logger: silentLogger,
    ...options,
  })
}

/** Loads of one name take each other over, and the same model may be packed twice at a time. */
let loads = 0

/** An artifact in memory, with its pages file where it has one. */
export interface ArtifactBytes {
  readonly bytes: Uint8Array
  readonly pages?: { readonly bytes: Uint8Array }
}

/** Loads an artifact that is in memory. @throws what the engine's `load` throws */
export function loadArtifact(
  engine: VergeEngine,
  { bytes, pages }: ArtifactBytes,
  signal: AbortSignal,
): Promise<Session> {
  const info = { sha256: `${++loads}`, format: 'verge' as const, bytes: bytes.length }
  return engine.load(info, memorySource(bytes, pages?.bytes), { signal })
}

/** The build that a Worker would take on this machine. */
async function kernels(): Promise<WebAssembly.Module> {
  const build = hasRelaxedSimd() ? 'relaxed' : 'plain'
  return new WebAssembly.Module(await readFile(join(SOURCE, `engine/verge/kernels/${build}.wasm`)))
}
