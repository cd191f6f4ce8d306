import * as z from 'zod'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Sampling } from '../generate/sampler.ts'
import { type GenerationRequest, TextGenerator } from '../generate/text-generator.ts'
import { seed, stopString } from '../protocols/generation-fields.ts'
import type { BoundTask } from './task.ts'
import { readTextBody } from './text/texts.ts'

const ignored = z.unknown().optional().meta({ description: 'Accepted and ignored' })

const stopStringsOf = (limits: Limits) => z.array(stopString(limits)).max(limits.stopStrings).nullish()

const parametersOf = (limits: Limits) =>
  z.strictObject({
    max_new_tokens: z.number().int().positive().nullish().meta({ description: 'Maximum tokens of the answer' }),
    do_sample: z
      .boolean()
      .nullish()
      .meta({ description: 'Sample tokens; by default only if one of the fields below is set' }),
    temperature: z.number().min(0).max(100).nullish(),
    top_k: z.number().int().min(0).nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    min_p: z.number().min(0).max(1).nullish(),
    typical_p: z.null({ error: 'is not supported; remove it' }).optional(),
    repetition_penalty: z.number().positive().max(10).nullish(),
    frequency_penalty: z.number().min(-2).max(2).nullish(),
    return_full_text: z
      .boolean()
      .nullish()
      .meta({ description: 'Whether the answer includes the prompt (the default)' }),
    stop: stopStringsOf(limits).meta({ description: 'Strings that end the answer; the answer does not include them' }),
    stop_sequences: stopStringsOf(limits),
    seed,
    num_return_sequences: z.literal(1, { error: 'must be 1' }).nullish(),
    details: z.literal(false, { error: 'is not supported; remove it' }).nullish(),
    truncate: z.null({ error: 'is not supported; send a shorter prompt' }).optional(),
    watermark: ignored,
    max_time: ignored,
  })
type Parameters = z.infer<ReturnType<typeof parametersOf>>

const answerSchema = z.array(z.object({ generated_text: z.string() })).meta({ id: 'GeneratedText' })

/** Continues a text with a causal language model, in the shapes of the Hugging Face inference API. */
export function textGeneration(limits: Limits): BoundTask {
  const requestSchema = z
    .strictObject({
      inputs: z.string().meta({ description: 'A text to continue' }),
      parameters: parametersOf(limits).optional(),
      stream: z
        .literal(false, { error: 'texts are streamed by POST /v1/completions and /v1/chat/completions' })
        .nullish(),
    })
    .meta({ id: 'TextGenerationRequest' })
  return {
    name: 'text-generation',
    mediaTypes: ['text/plain'],
    files: (manifest) => TextGenerator.files(manifest, 'text'),
    request: requestSchema,
    response: answerSchema,
    example: { inputs: '27 plus 58 is', parameters: { max_new_tokens: 8, return_full_text: false } },

    async execute(body, { language }) {
      const { inputs, parameters = {} } = readTextBody(requestSchema, body, limits)
      if (language === undefined) {
        throw new VergeError('engine_unsupported', 'This route cannot generate text. Use POST /v1/completions.')
      }
      const writer = await TextGenerator.open(language.model, writingRequest(parameters), limits)
      const prompt = await writer.text(inputs, 'inputs')
      writer.checkCost([prompt])
      let text = parameters.return_full_text === false ? '' : inputs
      for await (const written of await writer.generate(prompt, 0, language.signal)) {
        if (written.kind === 'text') text += written.text
      }
      return [{ generated_text: text }]
    },
  }
}

/** As text-generation-inference has it: what says how to draw says that tokens are drawn. */
function writingRequest(parameters: Parameters): GenerationRequest {
  const { do_sample: asked, min_p: minP, temperature, top_k: topK, top_p: topP } = parameters
  const says = [temperature, topK, topP, minP].some((value) => typeof value === 'number')
  const draws = asked ?? says
  const sampling: Sampling = {
    temperature: draws ? (temperature ?? 1) : 0,
    topP: topP ?? 1,
    topK: topK ?? 0,
    minP: minP ?? 0,
    frequencyPenalty: parameters.frequency_penalty ?? 0,
    presencePenalty: 0,
    repetitionPenalty: parameters.repetition_penalty ?? 1,
  }
  return {
    sampling,
    maxNewTokens: parameters.max_new_tokens ?? undefined,
    stop: [...(parameters.stop ?? []), ...(parameters.stop_sequences ?? [])],
    seed: parameters.seed ?? undefined,
  }
}
