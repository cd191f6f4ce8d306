import { besideOwnFields, type ErrorShape, paymentRequired } from '../error-shape.ts'

/** What is wrong with a field is 422 there. */
const UNPROCESSABLE: ReadonlySet<string> = new Set(['invalid_request', 'empty_input', 'task_mismatch'])

/** https://api.jina.ai/openapi.json: `{"detail": "..."}`, as FastAPI has it. */
export const jinaErrors: ErrorShape = {
  body: (error, requestId) => ({ ...besideOwnFields(error, requestId), detail: error.message }),
  // A text that is too long is 400 there.
  status(error) {
    if (UNPROCESSABLE.has(error.code)) return 422
    return error.code === 'input_too_large' ? 400 : paymentRequired(error)
  },
}
