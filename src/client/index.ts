/** The client, as it is published. */
export * from './client.ts'
export { type ClientErrorCode, VergeError } from './error.ts'
export type { ClientClock, FetchLike } from './runtime.ts'
export type { Inferred } from './tensors.ts'
export type { GeneratedText, TextAnswer, TextDelta, TextResult } from './text.ts'
export type { AnswerInfo, CallOptions } from './transport.ts'
export type * from './wire.ts'
