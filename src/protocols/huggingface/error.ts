import { errorAsText } from '../error-shape.ts'

/** Hugging Face's clients read a text in `error`. */
export const huggingFaceErrors = errorAsText
