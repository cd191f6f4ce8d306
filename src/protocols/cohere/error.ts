import { besideOwnFields, type ErrorShape } from '../error-shape.ts'

/** https://docs.cohere.com/reference/errors: `{"message": "...", "id": "..."}`, with the statuses that Verge has anyway. */
export const cohereErrors: ErrorShape = {
  body: (error, requestId) => ({ ...besideOwnFields(error, requestId), id: requestId, message: error.message }),
}
