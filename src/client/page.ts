/** The client for pages and everything else that calls: what `/client.js` has. */
export {
  type ClientOptions,
  createClient,
  type InferOptions,
  type Json,
  type Media,
  type RunInput,
  type RunOptions,
  type VergeClient,
  type WithParameters,
} from './client.ts'
export { type ClientErrorCode, VergeError } from './error.ts'
export type { ClientClock, FetchLike } from './runtime.ts'
export type { Inferred } from './tensors.ts'
export type { GeneratedText, TextAnswer, TextDelta, TextResult } from './text.ts'
export type { AnswerInfo, CallOptions } from './transport.ts'
export type * from './wire.ts'
