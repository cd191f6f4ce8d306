import { besideOwnFields, type ErrorShape } from '../error-shape.ts'

/** What is wrong with a field is 422 there. */
const UNPROCESSABLE: ReadonlySet<string> = new Set(['invalid_request', 'empty_input', 'task_mismatch'])

/** https://api.jina.ai/openapi.json: `{"detail": "..."}`, as FastAPI has it. */
export const jinaErrors: ErrorShape = {
  body: (error, requestId) => ({ ...besideOwnFields(error, requestId), detail: error.message }),
  // A text that is too long is 400 there.
  status: ({ code }) => (UNPROCESSABLE.has(code) ? 422 : code === 'input_too_large' ? 400 : undefined),
}
