import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import type { GenerationOptions } from '../../../src/serving/serving.ts'
import { OPERATOR, testApp, testModel } from '../../fixtures/http.ts'
import { END, wordsTokenizer } from '../../fixtures/language.ts'

const TEXTS = {
  task: 'text-generation' as const,
  inputs: [{ name: 'input_ids', datatype: 'INT64' as const, shape: [-1, -1] }],
  outputs: [],
  generation: { contextLength: 64, stopTokens: [END] },
}

function setup(failsAt = Number.POSITIVE_INFINITY) {
  const asked: GenerationOptions[] = []
  async function* write(_: readonly number[], options: GenerationOptions) {
    asked.push(options)
    for (const [place, byte] of [...new TextEncoder().encode(' world')].entries()) {
      if (place >= options.maxNewTokens) return undefined
      if (place === failsAt) throw new VergeError('session_lost', 'The engine restarted. Try again.')
      yield byte
    }
    return undefined
  }
  const files = { 'tokenizer.json': wordsTokenizer() }
  const models = [
    testModel('writer', 'public', TEXTS, { files, write }),
    testModel('eye', 'public', { inputs: TEXTS.inputs, outputs: [] }),
  ]
  return { asked, ...testApp({ models, addressing: { modelNames: new Map([['ensemble', 'writer']]) } }) }
}

const eventsOf = (text: string) =>
  text
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => JSON.parse(event.replace(/^data: /, '')) as Record<string, unknown>)

describe("Triton's generate extension", () => {
  it('continues a prompt, which the answer has first', async () => {
    const { post } = setup()
    const answer = await post('/v2/models/writer/generate', { id: 'a1', text_input: 'hello' })
    expect(answer.status).toBe(200)
    expect(await answer.json()).toEqual({
      id: 'a1',
      model_name: 'writer',
      model_version: '2',
      text_output: 'hello world',
    })
  })

  it('leaves the prompt out where that is asked for, and takes parameters in both places', async () => {
    const { asked, post } = setup()
    const parameters = { exclude_input_in_output: true, max_tokens: 3, temperature: 0, stream: false }
    const answer = await post('/v2/models/ensemble/versions/1/generate', { text_input: 'hello', parameters }, OPERATOR)
    expect(await answer.json()).toEqual({ model_name: 'ensemble', model_version: '1', text_output: ' wo' })
    const beside = { text_input: 'hello', max_tokens: 2, stop_words: ['x'], exclude_input_in_output: true }
    expect(await (await post('/oip/v2/models/writer/generate', beside)).json()).toMatchObject({ text_output: ' w' })
    expect(asked.map(({ maxNewTokens }) => maxNewTokens)).toEqual([3, 2])
  })

  it('streams the new text, part by part', async () => {
    const { post } = setup()
    const answer = await post('/v2/models/writer/generate_stream', {
      text_input: 'hello',
      parameters: { stream: true },
    })
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/)
    const events = eventsOf(await answer.text())
    expect(events.length).toBeGreaterThan(1)
    expect(events.map(({ text_output }) => text_output).join('')).toBe(' world')
    expect(events.every(({ model_name, model_version }) => model_name === 'writer' && model_version === '2')).toBe(true)
  })

  it('ends a stream that fails with the error, in the protocol’s shape', async () => {
    const { post } = setup(3)
    const answer = await post('/v2/models/writer/generate_stream', { text_input: 'hello' })
    expect(answer.status).toBe(200)
    expect(eventsOf(await answer.text()).at(-1)).toMatchObject({
      error: 'The engine restarted. Try again.',
      code: 'session_lost',
    })
  })

  it.each([
    ['a model that writes no texts', 'eye/generate', { text_input: 'a' }, 400, 'task_mismatch'],
    ['a model that does not exist', 'absent/generate', { text_input: 'a' }, 404, 'model_not_found'],
    ['no prompt', 'writer/generate', {}, 400, 'invalid_request'],
    ['a prompt of another type', 'writer/generate', { text_input: 7 }, 400, 'invalid_request'],
    [
      'an unknown parameter',
      'writer/generate',
      { text_input: 'a', parameters: { beam_width: 4 } },
      400,
      'invalid_request',
    ],
    ['a parameter of another type', 'writer/generate', { text_input: 'a', max_tokens: 'many' }, 400, 'invalid_request'],
    [
      'a stream at the address of whole answers',
      'writer/generate',
      { text_input: 'a', stream: true },
      400,
      'invalid_request',
    ],
    [
      'the prompt in a stream',
      'writer/generate_stream',
      { text_input: 'a', exclude_input_in_output: false },
      400,
      'invalid_request',
    ],
  ] as const)('refuses %s', async (_, path, body, status, code) => {
    const { asked, post } = setup()
    const answer = await post(`/v2/models/${path}`, body)
    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject({ code, error: expect.any(String) })
    expect(asked).toEqual([])
  })
})
