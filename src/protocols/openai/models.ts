import * as z from 'zod'

export const openAiModelSchema = z
  .object({
    id: z.string(),
    object: z.literal('model'),
    created: z.number().int().meta({
      description: 'When the newest live version was pushed, in seconds since 1970; 0 if that was not recorded',
    }),
    owned_by: z.string(),
  })
  .meta({ id: 'Model' })
export type OpenAiModel = z.infer<typeof openAiModelSchema>

export const openAiModelListSchema = z
  .object({
    object: z.literal('list'),
    data: z.array(openAiModelSchema),
    has_more: z.literal(true).optional().meta({ description: 'Whether the list continues' }),
    next: z.string().optional().meta({ description: 'Where it continues: `after` of the next request' }),
  })
  .meta({ id: 'ModelList' })
export type OpenAiModelList = z.infer<typeof openAiModelListSchema>
