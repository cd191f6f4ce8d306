import * as z from 'zod'
import { VECTOR_KINDS } from './text-vectors.ts'

/** Models as the playground and other programs show them to people: `GET /models` and `GET /models/{model}`. */

const placeSchema = z.enum(['edge', 'origin', 'browser'])

const cardFields = {
  name: z.string(),
  version: z.string().meta({ description: 'The live version; of several that with the largest weight' }),
  task: z.string().optional().meta({ description: 'Absent: the model takes tensors only' }),
  description: z.string().optional(),
  visibility: z.enum(['public', 'private']),
  bytes: z.number().int().meta({ description: 'Of the smallest artifact; 0 if the weights lie with an origin' }),
  places: z.array(placeSchema).meta({ description: 'Where requests can run' }),
}

export const modelCardSchema = z.object(cardFields).meta({ id: 'ModelCard' })
export type ModelCard = z.infer<typeof modelCardSchema>

export const modelCardListSchema = z
  .object({
    models: z.array(modelCardSchema),
    next: z
      .string()
      .optional()
      .meta({ description: 'Where the list continues: `after` of the next request. Absent: at its end' }),
  })
  .meta({ id: 'ModelCardList' })
export type ModelCardList = z.infer<typeof modelCardListSchema>

const tensorSchema = z.object({
  name: z.string(),
  datatype: z.string(),
  shape: z.array(z.number().int()).meta({ description: '-1: any length' }),
})

export const modelDetailSchema = z
  .object({
    ...cardFields,
    licence: z.string().optional(),
    inputs: z.array(tensorSchema),
    outputs: z.array(tensorSchema),
    labels: z.array(z.string()).optional(),
    artifacts: z.array(
      z.object({
        id: z.string(),
        format: z.enum(['onnx', 'ort', 'verge']),
        dtype: z.string(),
        bytes: z.number().int(),
        places: z.array(placeSchema),
      }),
    ),
    image: z
      .object({
        width: z.number().int(),
        height: z.number().int(),
        mode: z.enum(['RGB', 'BGR', 'L']),
        fit: z.enum(['stretch', 'crop', 'mnist', 'letterbox', 'shortest', 'proportional']),
      })
      .optional()
      .meta({ description: 'The picture that the model sees' }),
    keypoints: z
      .object({
        names: z.array(z.string()),
        skeleton: z.array(z.tuple([z.number().int(), z.number().int()])).optional(),
      })
      .optional()
      .meta({ description: 'Points that the model finds; `skeleton` has pairs of places in `names`' }),
    audio: z.object({ sampleRate: z.number().int() }).optional(),
    generation: z
      .object({ contextLength: z.number().int(), chat: z.boolean() })
      .optional()
      .meta({ description: '`chat`: the model has a chat template' }),
    kinds: z.array(z.enum(VECTOR_KINDS)).optional().meta({
      description: 'Kinds of vectors that a model of texts makes; absent where it makes one vector per text alone',
    }),
    example: z
      .object({ inputs: z.unknown(), parameters: z.record(z.string(), z.unknown()).optional() })
      .optional()
      .meta({ description: 'A body of `POST /run/{model}` that works' }),
  })
  .meta({ id: 'ModelDetail' })
export type ModelDetail = z.infer<typeof modelDetailSchema>
