import * as z from 'zod'

/** Parameters of a text by OpenAI's names, as vLLM's backend takes them. The values are checked where OpenAI's are. */
const sampling = {
  frequency_penalty: z.unknown().optional(),
  max_tokens: z.unknown().optional(),
  min_p: z.unknown().optional(),
  presence_penalty: z.unknown().optional(),
  repetition_penalty: z.unknown().optional(),
  seed: z.unknown().optional(),
  stop: z.unknown().optional(),
  temperature: z.unknown().optional(),
  top_k: z.unknown().optional(),
  top_p: z.unknown().optional(),
}

const own = {
  stop_words: z.array(z.string()).optional().meta({ description: "`stop` as TensorRT-LLM's backend calls it" }),
  stream: z.boolean().optional(),
  exclude_input_in_output: z.boolean().optional().meta({
    description:
      'Leave the prompt out of `text_output`. Default: as the backends do, the whole answer has it, a stream has not',
  }),
}

/** Triton's generate extension. Parameters may stand beside `text_input`, too. */
export const generateRequestSchema = z
  .strictObject({
    id: z.string().max(256).optional().meta({ description: 'Echoed in the answer' }),
    // Whoever names the model in the path may repeat it.
    model: z.string().optional(),
    text_input: z.string(),
    parameters: z.strictObject({ ...sampling, ...own }).optional(),
    ...sampling,
    ...own,
  })
  .meta({ id: 'GenerateRequest' })

export interface GenerateAnswer {
  readonly id?: string
  readonly model_name: string
  readonly model_version: string
  readonly text_output: string
}
