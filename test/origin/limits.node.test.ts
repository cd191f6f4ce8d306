import { describe, expect, it } from 'vitest'
import { LIMITS, type Limits } from '../../src/core/limits.ts'
import { ORIGIN_LIMITS } from '../../src/origin/limits.ts'
import { testApp, testModel } from '../fixtures/http.ts'
import { END, wordsTokenizer } from '../fixtures/language.ts'

type Name = keyof Limits

/** In each row no limit is above the next one: what passes the first must not be refused by another. */
const ORDERED: readonly (readonly Name[])[] = [
  ['requestBodyBytes', 'largeBodyBytesTogether', 'bodyBytesTogether'],
  ['inputElements', 'requestBodyBytes'],
  ['imageBytes', 'requestBodyBytes'],
  ['audioBytes', 'requestBodyBytes'],
  ['inferenceHeaderBytes', 'requestBodyBytes'],
  ['imagePixels', 'fullImagePixels'],
  ['chatLength', 'textBodyBytes'],
  ['textLength', 'textLengthTogether', 'textBodyBytes'],
  ['replayableBodyBytes', 'forwardedBodyBytes'],
  ['stepsBetweenPauses', 'decodeSteps', 'readingStepsAhead'],
  ['loadPollMs', 'loadStaleMs', 'loadDeadlineMs'],
  ['chunkStallMs', 'loadStaleMs'],
  ['callBeatMs', 'callLeaseMs'],
  ['requestDeadlineMs', 'ticketLeaseMs'],
  ['healthWaitMs', 'healthReadMs', 'healthTtlMs', 'healthStaleMs'],
  ['originLeastTryMs', 'originProbeMs', 'requestDeadlineMs'],
  ['tokenizerBytes', 'parsedFilesBytes'],
  ['tokenizerImageBytes', 'parsedFilesBytes'],
  ['artifactBytes', 'nativeArtifactBytes'],
  ['sessionBudgetBytes', 'workingBytes', 'ownWorkingBytes', 'engineHeapBytes'],
  ['streamStateBytes', 'streamMessageBytes'],
  ['tokensPerRun', 'embeddingTokens'],
]

describe.each([
  ['an isolate', LIMITS],
  ["an origin's", ORIGIN_LIMITS],
] as const)('the limits of %s', (_, limits: Limits) => {
  it.each(ORDERED.map((names) => [names.join(' <= '), names] as const))('are consistent: %s', (_row, names) => {
    const values = names.map((name) => limits[name])
    expect(values).toEqual([...values].sort((a, b) => a - b))
  })

  it('let the longest prompt into the body that it comes in, however its characters are encoded', () => {
    // three bytes of UTF-8 for a UTF-16 unit at the most
    expect(3 * limits.chatLength).toBeLessThanOrEqual(limits.textBodyBytes)
  })
})

describe("an origin's larger limits", () => {
  const model = testModel(
    'writer',
    'public',
    {
      task: 'text-generation',
      inputs: [{ name: 'input_ids', datatype: 'INT64', shape: ['batch', 'length'] }],
      outputs: [{ name: 'logits', datatype: 'FP32', shape: ['batch', 'length', 258] }],
      generation: { contextLength: 1_000_000, stopTokens: [END] },
      files: {
        'tokenizer.json': { sha256: '0'.repeat(64), bytes: 0, chunks: [] },
        'chat_template.jinja': { sha256: '0'.repeat(64), bytes: 0, chunks: [] },
      },
    },
    {
      files: {
        'tokenizer.json': wordsTokenizer(),
        'chat_template.jinja': new TextEncoder().encode('{{ messages[0].content }}'),
      },
      async *write(): AsyncGenerator<number, undefined> {
        yield 72
      },
    },
  )
  const content = 'x'.repeat(LIMITS.chatLength + 1)

  it.each([
    ['/v1/completions', { model: 'writer', prompt: content, max_tokens: 1 }],
    ['/v1/chat/completions', { model: 'writer', messages: [{ role: 'user', content }], max_tokens: 1 }],
    ['/run/writer', { inputs: content, parameters: { max_new_tokens: 1, return_full_text: false } }],
  ])('reach a prompt that an isolate refuses: %s', async (path, body) => {
    const isolate = await testApp({ models: [model] }).post(path, body)
    expect(await isolate.json()).toMatchObject({
      error: { code: 'context_length_exceeded', limit_characters: LIMITS.chatLength },
    })
    const origin = await testApp({ models: [model], limits: ORIGIN_LIMITS }).post(path, body)
    expect(origin.status).toBe(200)
    expect(JSON.stringify(await origin.json())).toContain('"H"')
  })
})
