const MiB = 1024 * 1024

/** Limits of a page's client, each with its reason. */
export const BROWSER_LIMITS = {
  /**
   * Bytes that `auto` downloads without being told to: some minutes of music. A page that wants more calls `prepare`, or chooses
   * the place `browser`.
   */
  backgroundBytes: 48 * MiB,
  /** A device with less memory, in gigabytes, would close other tabs for a model. */
  leastMemoryGb: 2,
  /** Recent answers of which the middle one counts: a single slow one changes nothing. */
  samples: 5,
  /** The first run after loading compiles code: it counts only where it took longer than anybody would wait for a second one. */
  firstRunMs: 1_000,
  /** A model that was slower here than the edge is tried here again after this time. */
  measureAgainMs: 60_000,
  /** After a request without a connection, models that are here answer for this time; then the edge is tried again. */
  edgeRestMs: 10_000,
  /** The plan of a model is asked for again after this time; the server itself learns of a release within half a minute. */
  planFreshMs: 30_000,
  /** After an answer of the edge by another version it is asked for again, no more often than this: several may be live. */
  planRestMs: 5_000,
  /** An older plan is not used before the server has confirmed it. */
  planStaleMs: 300_000,
  /** What failed on this device is tried again after this time, which doubles with each failure. */
  failureMs: 30_000,
  /** A refusal of the server, a device without an engine: another attempt soon would end in the same way. */
  lastingFailureMs: 600_000,
  longestFailureMs: 3_600_000,
  /** What the server takes in one request: a stream is collected so that it can be sent again. */
  requestBodyBytes: 16 * MiB,
} as const

export type BrowserLimits = { readonly [Name in keyof typeof BROWSER_LIMITS]: number }
