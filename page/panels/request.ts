import type { AnswerInfo, FinishReason } from '../../src/client/page.ts'
import type { Place } from '../models.ts'

/** What a panel asks the model: `page/code` turns it into curl, fetch, the client and OpenAI. */
export interface PanelRequest {
  readonly method: 'run' | 'embed' | 'rerank' | 'chat' | 'complete' | 'infer'
  /**
   * `run`: a JSON value, or a Blob: picture, sound, table. `embed`: a text or texts. `rerank`: `{query, documents}`.
   * `chat`: messages. `complete`: a text. `infer`: tensors by name, as the client's `infer` takes them.
   */
  readonly input: unknown
  readonly parameters?: Readonly<Record<string, unknown>>
}

/** What is known of a text that arrives part by part. */
export interface StreamedText {
  /** Milliseconds from asking to the first part. */
  readonly firstMs: number
  /** Why it ended; undefined while it is not complete. */
  readonly finishReason: FinishReason | undefined
  /** Tokens that the model wrote; undefined until the end. */
  readonly tokens: number | undefined
}

export interface Answer {
  readonly request: PanelRequest
  /** Parsed JSON, a Blob, or for a stream the text so far. */
  readonly output: unknown
  readonly info: AnswerInfo
  /** From asking to the whole answer, as the page measured it; for a stream that is not over, to its last part. */
  readonly ms: number
  readonly place: Place
  /** Of a text that arrives part by part. */
  readonly text?: StreamedText | undefined
}
