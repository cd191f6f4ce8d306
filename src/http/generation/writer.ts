import type { VergeError } from '../../core/errors.ts'
import type { Finish } from '../../generate/generation-events.ts'

/** What is known of an answer before its first token, whichever protocol it is written in. */
export interface AnswerHead {
  /** A fresh identifier, without a protocol's prefix. */
  readonly id: string
  /** Milliseconds since 1970 when the request was about to be answered. */
  readonly begun: number
  /** The model by the name that it was asked for. */
  readonly model: string
  /** Tokens of all prompts; undefined where an origin counts them, which says so at the end. */
  readonly promptTokens: number | undefined
  /** Fingerprint of the weights, once they are known; undefined where they are not ours. */
  readonly fingerprint: () => string | undefined
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** How a text ended. */
export interface TextEnd {
  readonly finish: Finish
  /** The stop string that ended it, if one did. */
  readonly stopString?: string
}

export interface WrittenText extends TextEnd {
  readonly index: number
  readonly text: string
}

export interface TokenCounts {
  readonly prompt: number
  readonly completion: number
}

/** Puts one answer into a protocol's words: whole, or part by part as a stream. */
export interface AnswerWriter {
  /** Media type of a stream. */
  readonly mediaType: string
  /** The whole answer, as JSON. */
  whole(texts: readonly WrittenText[], counts: TokenCounts): object
  /** What opens a text, before its first token. */
  opening(index: number): string
  /** A part of a text. */
  text(index: number, text: string): string
  /** The end of a text. */
  ending(index: number, end: TextEnd): string
  /** What ends the stream, after all texts. */
  closing(counts: TokenCounts): string
  /** What ends a stream that fails on its way. */
  failed(error: VergeError, requestId: string): string
}

/** Makes the writer of one answer. */
export type WriterOf = (head: AnswerHead) => AnswerWriter
