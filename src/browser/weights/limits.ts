const KiB = 1024
const MiB = 1024 * KiB

/** Limits of what a browser downloads and keeps, each with its reason. */
export const WEIGHTS_LIMITS = {
  /**
   * Bytes of weights that are kept for later visits, unless the page says otherwise: four of the largest models that an
   * isolate runs. Browsers give an origin some gigabytes; Firefox and Safari ask nobody up to ten of them.
   */
  quotaBytes: 256 * MiB,
  /** The same where the browser stores nothing: it is memory beside the engine's, for one of the largest such models. */
  memoryBytes: 64 * MiB,
  /** As Verge packs them: one chunk is held in memory while it is read from storage. */
  chunkBytes: 8 * MiB,
  /** All weights of one artifact. WebAssembly and WebGPU of a telephone hold little more. */
  artifactBytes: 1024 * MiB,
  /** Chunks at once: browsers open six connections to a server that speaks HTTP/1.1, and answers need some of them. */
  parallelFetches: 4,
  /** A body that has brought nothing for this long is requested again. A telephone in a tunnel takes some seconds. */
  chunkStallMs: 15_000,
  /** Attempts without a new byte, after which a download has failed. Its beginning is kept. */
  attempts: 4,
  /** First pause before another attempt; later ones double: 2 s together. */
  firstPauseMs: 300,
  /** A server that asks for a longer pause than this is not waited for. */
  longestPauseMs: 5_000,
  /** An error's body. */
  errorBytes: 64 * KiB,
  /** The list of what is kept: a line for each of some thousand files. */
  indexBytes: 4 * MiB,
  /** A page of an embedding table, as Verge writes them. */
  pageBytes: 1 * MiB,
  pageGapBytes: 64 * KiB,
  pageRangeBytes: 1 * MiB,
  chunkRetryPauseMs: 300,
  /** Pages that are kept in memory beside those in storage: 320 of 25 KB. */
  heldPageBytes: 8 * MiB,
} as const

export type WeightsLimits = { readonly [Name in keyof typeof WEIGHTS_LIMITS]: number }
