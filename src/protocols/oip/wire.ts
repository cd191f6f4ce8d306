import * as z from 'zod'
import { DATATYPES } from '../../core/tensors.ts'
import { errorDetail } from '../error-detail.ts'

/** The Open Inference Protocol, version 2, with Triton's binary tensor extension: its JSON, as schemas and types. */

const parameterValue = z.union([z.string(), z.number(), z.boolean()])

const PRIORITY = 'is not supported; remove it'

/** Parameters are open by the protocol; those named here mean something to Verge. */
const requestParametersSchema = z
  .object({
    binary_data_output: z.boolean().optional().meta({ description: 'All outputs in binary unless one says otherwise' }),
    non_finite: z.enum(['null', 'refuse']).optional().meta({
      description:
        'How to write NaN and infinities in JSON: as `null` (the default), or refuse the request with `unsupported_output`',
    }),
    timeout: z.number().int().nonnegative().optional().meta({
      description: 'Timeout in microseconds after the request was read; 0: no timeout for this request',
    }),
    priority: z
      .literal(0, { error: PRIORITY })
      .optional()
      .meta({ description: 'Priorities are not supported: must be 0' }),
  })
  .catchall(parameterValue)

const tensorParametersSchema = z
  .object({
    binary_data_size: z
      .number()
      .int()
      .nonnegative()
      .optional()
      .meta({ description: "Bytes of this tensor's data after the JSON header, instead of `data`" }),
  })
  .catchall(parameterValue)

const outputParametersSchema = z
  .object({ binary_data: z.boolean().optional().meta({ description: 'This output in binary' }) })
  .catchall(parameterValue)

const datatype = z.enum(DATATYPES)

/**
 * The numbers themselves are left to the typed converters: checking each element here would cost more than the
 * conversion.
 */
const tensorData = z.unknown().optional().meta({
  type: 'array',
  items: {},
  description:
    'Elements in row-major order, flat or nested by dimension. Integers beyond 2^53 are exact if written digit by digit.',
})

const dimension = z.number().int().nonnegative()

export const inputTensorSchema = z
  .object({
    name: z.string(),
    shape: z.array(dimension).meta({ description: 'Outermost first; empty for a scalar' }),
    datatype,
    parameters: tensorParametersSchema.optional(),
    data: tensorData,
  })
  .meta({ id: 'InputTensor' })
export type InputTensor = z.infer<typeof inputTensorSchema>

export const requestedOutputSchema = z
  .object({ name: z.string(), parameters: outputParametersSchema.optional() })
  .meta({ id: 'RequestedOutput' })
export type RequestedOutput = z.infer<typeof requestedOutputSchema>

export const inferRequestSchema = z
  .object({
    id: z.string().max(256).optional().meta({ description: 'Echoed in the answer' }),
    parameters: requestParametersSchema.optional(),
    inputs: z.array(inputTensorSchema),
    outputs: z.array(requestedOutputSchema).optional().meta({ description: 'Requested outputs; default: all' }),
  })
  .meta({ id: 'InferRequest' })
export type InferRequest = z.infer<typeof inferRequestSchema>

const outputTensorSchema = z
  .object({
    name: z.string(),
    shape: z.array(dimension),
    datatype,
    parameters: z.object({ binary_data_size: z.number().int().nonnegative() }).optional(),
    data: z
      .array(z.union([z.number(), z.boolean(), z.string(), z.null()]))
      .optional()
      .meta({ description: 'Flat, in row-major order. NaN and infinities, which JSON lacks, are null.' }),
  })
  .meta({ id: 'OutputTensor' })

export const inferResponseSchema = z
  .object({
    model_name: z.string(),
    model_version: z.string(),
    id: z.string().optional(),
    outputs: z.array(outputTensorSchema),
  })
  .meta({ id: 'InferResponse' })

export const metadataTensorSchema = z
  .object({
    name: z.string(),
    datatype,
    shape: z.array(z.number().int()).meta({ description: '-1 for a dynamic dimension' }),
  })
  .meta({ id: 'MetadataTensor' })
export type MetadataTensor = z.infer<typeof metadataTensorSchema>

/** What an artifact answers to a fixed input, as the manifest has it. */
export const artifactAnswerSchema = z
  .object({
    artifact: z.string().meta({ description: 'Its id, as in the header verge-placement' }),
    inputs: z.array(
      z.object({
        name: z.string(),
        datatype: datatype.exclude(['BYTES']),
        shape: z.array(z.number().int().nonnegative()),
        below: z.number().int().positive().optional(),
      }),
    ),
    sha256: z.string().meta({ description: 'Of the bytes of all outputs, in their order' }),
  })
  .meta({ id: 'ArtifactAnswer' })
export type ArtifactAnswer = z.infer<typeof artifactAnswerSchema>

export const modelMetadataSchema = z
  .object({
    name: z.string(),
    versions: z.array(z.string()),
    platform: z.string(),
    inputs: z.array(metadataTensorSchema),
    outputs: z.array(metadataTensorSchema),
    answers: z.array(artifactAnswerSchema).optional().meta({
      description: "Verge's own: what artifacts answer to a fixed input, bit by bit, as `verge doctor` checks it",
    }),
  })
  .meta({ id: 'ModelMetadata' })
export type ModelMetadata = z.infer<typeof modelMetadataSchema>

export const modelReadySchema = z.object({ name: z.string(), ready: z.boolean() }).meta({ id: 'ModelReady' })
export type ModelReady = z.infer<typeof modelReadySchema>

export const serverMetadataSchema = z
  .object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) })
  .meta({ id: 'ServerMetadata' })
export type ServerMetadata = z.infer<typeof serverMetadataSchema>

export const repositoryIndexRequestSchema = z
  .object({
    ready: z.boolean().optional().meta({ description: 'Only models that are ready; all models of Verge are' }),
  })
  .meta({ id: 'RepositoryIndexRequest' })

export const repositoryIndexSchema = z
  .array(z.object({ name: z.string(), version: z.string(), state: z.literal('READY'), reason: z.string() }))
  .meta({ id: 'RepositoryIndex' })
export type RepositoryIndex = z.infer<typeof repositoryIndexSchema>

/** `parameters` of Triton's load and unload; a configuration or files in them would have to change what was pushed. */
export const repositoryLoadRequestSchema = z
  .strictObject({
    parameters: z
      .strictObject({ unload_dependents: z.boolean().optional().meta({ description: 'No model has any' }) })
      .optional(),
  })
  .meta({ id: 'RepositoryLoadRequest' })

export const liveSchema = z.object({ live: z.boolean() }).meta({ id: 'Live' })
export const readySchema = z.object({ ready: z.boolean() }).meta({ id: 'Ready' })

/** The protocol says that `error` is a text; the rest is Verge's own. */
export const oipErrorBodySchema = z
  .object({ error: z.string(), code: z.string(), request_id: z.string() })
  .catchall(errorDetail)
  .meta({ id: 'InferenceError' })
