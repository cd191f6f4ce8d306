import type { JSX } from 'preact'
import type { ModelInfo } from '../models.ts'
import type { Answer, PanelRequest } from './request.ts'

export type { Answer, PanelRequest }

export interface PanelProps {
  readonly model: ModelInfo
  readonly busy: boolean
  /** Runs it where the visitor chose; the answer arrives as `answer`, an error is shown by the shell. */
  readonly run: (request: PanelRequest) => Promise<void>
  /** Ends what runs. A text keeps what has arrived, and is no error. */
  readonly stop: () => void
  readonly answer: Answer | undefined
}

/** The input of a task, with an example that is ready to run, and the task's own view of the answer. */
export type Panel = (props: PanelProps) => JSX.Element
