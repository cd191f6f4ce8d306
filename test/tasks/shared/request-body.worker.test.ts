import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../../src/core/limits.ts'
import { createTasks } from '../../../src/tasks/index.ts'
import { readMultipart, withQuery } from '../../../src/tasks/shared/request-body.ts'
import type { TaskBody } from '../../../src/tasks/task.ts'

const tasks = createTasks(LIMITS)
const PICTURE: TaskBody = { kind: 'bytes', mediaType: 'image/png', bytes: new Uint8Array(1) }
const parametersOf = (name: keyof typeof tasks, query: Readonly<Record<string, readonly string[]>>): unknown => {
  const body = withQuery(PICTURE, query, tasks[name])
  return body.kind === 'bytes' ? body.parameters : undefined
}

describe('a form', () => {
  const read = async (...parts: readonly (readonly [string, string | Blob])[]): Promise<TaskBody> => {
    const form = new FormData()
    for (const [name, value] of parts) {
      if (typeof value === 'string') form.append(name, value)
      else form.append(name, value, 'a-file')
    }
    const encoded = new Response(form)
    const bytes = new Uint8Array(await encoded.arrayBuffer())
    return readMultipart(bytes, encoded.headers.get('content-type') ?? '', LIMITS)
  }
  const picture = ['file', new Blob(['x'], { type: 'image/png' })] as const

  it('has parameters as a text, or as a file of JSON', async () => {
    const json = '{"format":"map"}'
    for (const value of [json, new Blob([json], { type: 'application/json' })]) {
      expect(await read(picture, ['parameters', value])).toMatchObject({ kind: 'bytes', parameters: { format: 'map' } })
    }
  })

  it.each(['file', 'parameters'])('has one "%s" alone', async (name) => {
    const again = name === 'file' ? picture : (['parameters', '{}'] as const)
    await expect(read(picture, ['parameters', '{}'], again)).rejects.toThrow(
      `The form has several "${name}". Send one.`,
    )
  })

  it.each(['{', '', new Blob(['{'])])('names parameters that are no JSON: %o', async (value) => {
    const message = 'The form\'s "parameters" are not valid JSON. Send an object.'
    await expect(read(picture, ['parameters', value])).rejects.toMatchObject({ code: 'invalid_json', message })
  })
})

describe('parameters of a query', () => {
  it.each([
    ['zero-shot-image-classification', { candidate_labels: ['7', '8'] }, { candidate_labels: ['7', '8'] }],
    ['zero-shot-image-classification', { candidate_labels: ['7', 'a cat'] }, { candidate_labels: ['7', 'a cat'] }],
    ['zero-shot-audio-classification', { candidate_labels: ['true'] }, { candidate_labels: 'true' }],
    ['image-text-similarity', { texts: ['1984'] }, { texts: '1984' }],
    ['fill-mask', { targets: ['2024', '{}'], top_k: ['2'] }, { targets: ['2024', '{}'], top_k: 2 }],
  ] as const)('stay texts where %s takes nothing else: %j', (name, query, parameters) => {
    expect(parametersOf(name, query)).toEqual(parameters)
  })

  it.each([
    ['image-segmentation', { threshold: ['0.5'], target_size: ['{"width":4,"height":2}'] }],
    ['depth-estimation', { bits: ['16'] }],
    ['zero-shot-image-classification', { multi_label: ['true'], candidate_labels: ['a', 'b'] }],
  ] as const)('are numbers, objects and the like where %s takes these: %j', (name, query) => {
    const expected = Object.entries(query).map(([key, texts]) => [
      key,
      texts.length > 1 ? texts : JSON.parse(String(texts[0])),
    ])
    expect(parametersOf(name, query)).toEqual(Object.fromEntries(expected))
  })

  it('are left to the task where it takes them in no form, which says what it takes', () => {
    expect(parametersOf('image-segmentation', { threshold: ['high'] })).toEqual({ threshold: 'high' })
    expect(parametersOf('depth-estimation', { bits: ['12'] })).toEqual({ bits: 12 })
  })
})
