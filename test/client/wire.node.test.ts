/** `npm run check` proves what this says of types. */
import { describe, expect, expectTypeOf, it } from 'vitest'
import type * as z from 'zod'
import type { Generated, WholeText } from '../../src/client/text.ts'
import type {
  ChatMessage,
  Datatype,
  DetectedObject,
  DetectedSpeech,
  EmbeddingParameters,
  GenerationParameters,
  Label,
  ListedModel,
  RankedDocument,
  RerankParameters,
  Tensor,
  TensorData,
  VergeErrorCode,
  VergeErrorDetails,
} from '../../src/client/wire.ts'
import type { ErrorCode } from '../../src/core/errors.ts'
import { LIMITS } from '../../src/core/limits.ts'
import type { Datatype as ServerDatatype, Tensor as ServerTensor, TensorDataMap } from '../../src/core/tensors.ts'
import type { errorDetail } from '../../src/protocols/error-detail.ts'
import type { EmbeddingsRequest } from '../../src/protocols/openai/embeddings.ts'
import {
  type ChatAnswer,
  type ChatChunk,
  type ChatRequest,
  type CompletionAnswer,
  type CompletionChunk,
  type CompletionRequest,
  chatRequestSchema,
  completionRequestSchema,
} from '../../src/protocols/openai/generation.ts'
import type { OpenAiModel } from '../../src/protocols/openai/models.ts'
import { type RerankResponse, rerankRequestSchema } from '../../src/protocols/rerank.ts'
import { objectDetection } from '../../src/tasks/object-detection.ts'
import type { Classification } from '../../src/tasks/shared/scores.ts'
import { voiceActivityDetection } from '../../src/tasks/voice-activity-detection.ts'

describe('the types of the wire', () => {
  it('have the codes and the tensors of the server', () => {
    expectTypeOf<VergeErrorCode>().toEqualTypeOf<ErrorCode>()
    expectTypeOf<VergeErrorDetails[string]>().branded.toEqualTypeOf<Readonly<z.infer<typeof errorDetail>>>()
    expectTypeOf<Datatype>().toEqualTypeOf<ServerDatatype>()
    expectTypeOf<TensorData>().toEqualTypeOf<TensorDataMap>()
    expectTypeOf<Tensor>().toExtend<ServerTensor>()
    expectTypeOf<ServerTensor>().toExtend<Tensor>()
  })

  it('take what the server answers', () => {
    expectTypeOf<ChatAnswer>().toExtend<WholeText>()
    expectTypeOf<CompletionAnswer>().toExtend<WholeText>()
    expectTypeOf<ChatChunk>().toExtend<Generated>()
    expectTypeOf<CompletionChunk>().toExtend<Generated>()
    expectTypeOf<Classification>().toExtend<readonly Label[]>()
    expectTypeOf<OpenAiModel>().toEqualTypeOf<{ -readonly [Field in keyof ListedModel]: ListedModel[Field] }>()
    expectTypeOf<RerankResponse['results'][number]>().toExtend<RankedDocument>()
  })

  it('describe requests that the server takes', () => {
    expectTypeOf<GenerationParameters>().toExtend<Partial<ChatRequest>>()
    expectTypeOf<GenerationParameters>().toExtend<Partial<CompletionRequest>>()
    expectTypeOf<{ [Field in keyof ChatMessage]: ChatMessage[Field] }>().toExtend<ChatRequest['messages'][number]>()
    expectTypeOf<EmbeddingParameters>().toExtend<Partial<EmbeddingsRequest>>()
    expectTypeOf<RerankParameters>().toExtend<Partial<z.infer<typeof rerankRequestSchema>>>()
  })

  it('name fields that the server knows', () => {
    const generation: Required<GenerationParameters> = {
      max_tokens: 1,
      temperature: 1,
      top_p: 1,
      top_k: 1,
      min_p: 0,
      frequency_penalty: 0,
      presence_penalty: 0,
      repetition_penalty: 1,
      stop: ['.'],
      seed: 1,
    }
    const messages: ChatMessage[] = [{ role: 'user', content: 'Hello', name: null }]
    chatRequestSchema(LIMITS).parse({ ...generation, model: 'm', messages })
    completionRequestSchema(LIMITS).parse({ ...generation, model: 'm', prompt: ['a'] })
    const rerank: Required<RerankParameters> = { top_n: 1, return_documents: true }
    expect(rerankRequestSchema.parse({ ...rerank, model: 'm', query: 'q', documents: ['d'] })).toMatchObject(rerank)
  })

  it('have the answers of the tasks', () => {
    const found: DetectedObject = { label: 'face', score: 1, box: { xmin: 0, ymin: 0, xmax: 1, ymax: 1 } }
    const heard: DetectedSpeech = { segments: [{ start: 0, end: 1, score: 1 }], window: 0.032, probabilities: [1] }
    expect(objectDetection(LIMITS).response.parse([found])).toEqual([found])
    expect(voiceActivityDetection(LIMITS).response.parse(heard)).toEqual(heard)
  })
})
