import { LIMITS, type Limits } from '../core/limits.ts'

const MiB = 1024 * 1024

/**
 * What differs from an isolate's limits on a machine of one's own. An origin has gigabytes where an isolate has 128 MB, its
 * callers are Workers that it knows, and nothing in it is killed without running its `finally`.
 */
export const ORIGIN_LIMITS: Limits = {
  ...LIMITS,

  /** Requests in progress and waiting: twice what a queue of 128 runs needs. */
  admittedRequests: 256,
  /** Longest time for a place: a text that is being written keeps its own for as long as `requestDeadlineMs`. */
  ticketLeaseMs: 600_000,
  /** The Worker sends the remaining time of a request in `verge-timeout-ms`; this is the default without the header. */
  requestDeadlineMs: 300_000,
  /** A run waits in the queue of its batch, and a model may take seconds. */
  turnLeaseMs: 60_000,
  /**
   * Units that the runs of one request may cost together, where `--max-cost` says nothing: about half a minute on two
   * cores. A run cannot be interrupted, and others wait for it.
   */
  requestCost: 1_000_000,

  /** A Worker streams bodies of up to 100 MB through; tensors of that size are held twice while they are read. */
  requestBodyBytes: 100 * MiB,
  /** Bodies of all admitted requests together. */
  bodyBytesTogether: 512 * MiB,
  /** An origin keeps no room for small ones. */
  largeBodyBytesTogether: 512 * MiB,
  /** Long prompts and thousands of texts. */
  textBodyBytes: 16 * MiB,
  /**
   * A prompt, in UTF-16 units: contexts of 200,000 tokens, which indented code fills with eight units each. In UTF-8 it
   * fits into `textBodyBytes` three times; the slowest tokenizers read it in 4 s, with turns of others in between.
   */
  chatLength: 1_600_000,
  /** 100 MiB of the smallest elements. */
  inputElements: 100 * MiB,
  /** 256 MiB of floats: 512 tokens of a vocabulary of 131,072. */
  vocabularyScores: 64 * MiB,
  /** Elements in JSON take up to 20 bytes of text each. */
  jsonOutputElements: 8 * MiB,

  /** Protobuf, and so ONNX in one piece, ends at 2 GiB. */
  artifactBytes: LIMITS.nativeArtifactBytes,
  tokenizerBytes: LIMITS.originTokenizerBytes,
  /** Parsed tokenizers of a few such models. */
  parsedFilesBytes: 512 * MiB,
  manifestsCached: 1_024,
  aliasesCached: 4_096,

  /** No platform limits connections here; R2 serves this many chunks to one client at its full speed. */
  parallelFetches: 8,
  /**
   * A load shows no sign of life while a file of 2 GiB is digested or a session is made of it. Its owner cannot die
   * alone: what ends it ends the process.
   */
  loadStaleMs: 300_000,
  /** Two gigabytes at 10 MB/s. */
  loadDeadlineMs: 300_000,
  /** A source that has sent nothing for this long is left; an origin is often further from R2 than an isolate. */
  chunkStallMs: 10_000,
}
