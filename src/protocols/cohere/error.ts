import { besideOwnFields, type ErrorShape, paymentRequired } from '../error-shape.ts'

/** https://docs.cohere.com/reference/errors: `{"message": "...", "id": "..."}`, with 402 for a billing limit that is reached. */
export const cohereErrors: ErrorShape = {
  body: (error, requestId) => ({ ...besideOwnFields(error, requestId), id: requestId, message: error.message }),
  status: paymentRequired,
}
