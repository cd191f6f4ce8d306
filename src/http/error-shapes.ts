import { anthropicErrors } from '../protocols/anthropic/error.ts'
import { cohereErrors } from '../protocols/cohere/error.ts'
import type { ErrorShape } from '../protocols/error-shape.ts'
import { huggingFaceErrors } from '../protocols/huggingface/error.ts'
import { jinaErrors } from '../protocols/jina/error.ts'
import type { ProtocolName } from '../protocols/names.ts'
import { oipErrors } from '../protocols/oip/error.ts'
import { ollamaErrors } from '../protocols/ollama/error.ts'
import { openAiErrors } from '../protocols/openai/error.ts'
import { teiErrors } from '../protocols/tei/error.ts'
import { vergeErrors } from '../protocols/verge/error.ts'
import { vllmErrors } from '../protocols/vllm/error.ts'
import { workersAiErrors } from '../protocols/workers-ai/error.ts'

export const ERROR_SHAPES: Readonly<Record<ProtocolName, ErrorShape>> = {
  verge: vergeErrors,
  openai: openAiErrors,
  anthropic: anthropicErrors,
  ollama: ollamaErrors,
  cohere: cohereErrors,
  jina: jinaErrors,
  tei: teiErrors,
  vllm: vllmErrors,
  huggingface: huggingFaceErrors,
  oip: oipErrors,
  'workers-ai': workersAiErrors,
}
