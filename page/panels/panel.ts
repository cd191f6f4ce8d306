import type { JSX } from 'preact'
import type { AnswerInfo } from '../../src/client/index.ts'
import type { ModelInfo, Place } from '../models.ts'

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

export interface Answer {
  readonly request: PanelRequest
  /** Parsed JSON, a Blob, or for a stream the text so far. */
  readonly output: unknown
  readonly info: AnswerInfo
  /** From asking to the whole answer, as the page measured it; for a stream that is not over, to its last part. */
  readonly ms: number
  readonly place: Place
}

export interface PanelProps {
  readonly model: ModelInfo
  readonly busy: boolean
  /** Runs it where the visitor chose; the answer arrives as `answer`, an error is shown by the shell. */
  readonly run: (request: PanelRequest) => Promise<void>
  readonly answer: Answer | undefined
}

/** The input of a task, with an example that is ready to run, and the task's own view of the answer. */
export type Panel = (props: PanelProps) => JSX.Element
