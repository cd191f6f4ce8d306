import { errorAsText } from '../error-shape.ts'

/** https://docs.ollama.com/api/errors: `{"error": "..."}`, in a stream as a line of its own. */
export const ollamaErrors = errorAsText
