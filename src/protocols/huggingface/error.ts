import { type ErrorShape, errorAsText, paymentRequired } from '../error-shape.ts'

/** Hugging Face's clients read a text in `error`. Who has no credits left gets 402 there. */
export const huggingFaceErrors: ErrorShape = { ...errorAsText, status: paymentRequired }
