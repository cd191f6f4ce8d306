const MiB = 1024 * 1024

/** Limits and timeouts for sources, each with its reason. */
export const SOURCE_LIMITS = {
  /** A model, and each file of its external data: the engine takes a model in one piece, which ends at 2 GiB. */
  modelBytes: 2048 * MiB - 1,
  /** Files of external data: exporters write one, or one a tensor; this many small requests are still polite. */
  externalFiles: 512,
  /** The header of a safetensors file: a network of thousands of tensors has one of less than 1 MiB. */
  safetensorsHeaderBytes: 4 * MiB,
  /** Settings, tokenizers, cards. The largest tokenizers that are published take about 32 MiB. */
  settingsBytes: 64 * MiB,
  /** An answer of the hub's API: a repository of 10,000 files is about 4 MiB. */
  answerBytes: 16 * MiB,
  /** Redirects in a row. The hub sends one or two. */
  redirects: 5,
  /** Tries without progress; with doubling pauses they take about 8 s. */
  attempts: 5,
  firstPauseMs: 500,
  /** A server that asks for a longer pause than this is left for a person to come back to. */
  longestPauseMs: 30_000,
  /** How often a transfer is looked at, and the least that must have come since: less is a connection that died. */
  idleMs: 30_000,
  idleBytes: 1024,
  /** Having brought this much, a connection that broke counts as the first one to have done so. */
  progressBytes: MiB,
} as const
