import type { Manifest } from '../../catalog/manifest.ts'
import type { Limits } from '../../core/limits.ts'
import type { Tensors } from '../../core/tensors.ts'
import type { InferRequest } from '../../protocols/oip/wire.ts'
import { writeInferAnswer } from '../../protocols/oip/write-answer.ts'

/** Answers an inference request. @throws unsupported_output */
export function inferResponse(
  request: InferRequest,
  { model, version }: Pick<Manifest, 'model' | 'version'>,
  outputs: Tensors,
  limits: Pick<Limits, 'jsonOutputElements'>,
): Response {
  const { body, headers } = writeInferAnswer(request, { name: model, version }, outputs, limits)
  return new Response(body, { headers: { ...headers } })
}
