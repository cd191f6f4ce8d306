import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { type FileKind, readFileBody } from '../../../src/tasks/shared/file-body.ts'
import type { TaskBody } from '../../../src/tasks/task.ts'
import { codeOf } from '../../fixtures/http.ts'

const KIND: FileKind = {
  noun: 'drawing',
  one: 'A drawing',
  types: { accepted: ['image/x-drawing'], ifOther: 'Send image/x-drawing.' },
  ifTooLarge: 'Send a smaller image.',
  ifEmpty: 'There is no drawing.',
}
const parametersSchema = z.strictObject({ top_k: z.number().default(3) })
const MOST = 6

const read = (body: TaskBody, kind = KIND) => readFileBody(body, parametersSchema, kind, MOST)
const json = (value: unknown): TaskBody => ({ kind: 'json', value })
const bytes = (content: number[], mediaType: string, parameters?: unknown): TaskBody => ({
  kind: 'bytes',
  bytes: Uint8Array.from(content),
  mediaType,
  ...(parameters !== undefined && { parameters }),
})

describe('a request that holds a file', () => {
  it.each([
    ['base64', json({ inputs: 'AQID' })],
    ['a data: URL', json({ inputs: 'data:image/x-drawing;base64,AQID' })],
    ['the file itself', bytes([1, 2, 3], 'image/x-drawing')],
  ])('takes %s, and the parameters by default', (_, body) => {
    const { bytes, parameters } = read(body)
    expect([...bytes]).toEqual([1, 2, 3])
    expect(parameters).toEqual({ top_k: 3 })
  })

  it('takes the parameters that stand beside the file, in either form', () => {
    expect(read(json({ inputs: 'AQID', parameters: { top_k: 1 } })).parameters).toEqual({ top_k: 1 })
    expect(read(bytes([1], 'image/x-drawing', { top_k: 2 })).parameters).toEqual({ top_k: 2 })
  })

  it.each([
    ['a URL', json({ inputs: ' HTTPS://example.com/a.png' }), 'invalid_request'],
    ['what is not base64', json({ inputs: '***' }), 'invalid_request'],
    ['a data: URL of plain text', json({ inputs: 'data:text/plain,AQID' }), 'invalid_request'],
    ['a data: URL without content', json({ inputs: 'data:;base64' }), 'invalid_request'],
    ['other fields', json({ inputs: 'AQID', top_k: 1 }), 'invalid_request'],
    ['other parameters', json({ inputs: 'AQID', parameters: { k: 1 } }), 'invalid_request'],
    ['an empty file', json({ inputs: '' }), 'empty_input'],
    ['an empty body', bytes([], 'image/x-drawing'), 'empty_input'],
    ['more bytes than allowed', bytes([1, 2, 3, 4, 5, 6, 7], 'image/x-drawing'), 'input_too_large'],
    ['more than allowed, a little', json({ inputs: btoa('1234567') }), 'input_too_large'],
    ['more than allowed, before it is decoded', json({ inputs: '*'.repeat(1000) }), 'input_too_large'],
    ['another type', bytes([1], 'text/plain'), 'unsupported_media_type'],
  ])('refuses %s', (_, body, code) => {
    expect(codeOf(() => read(body))).toBe(code)
  })

  it('takes a file of any type where the kind names none', () => {
    const { types: _, ...any } = KIND
    expect(read(bytes([7], 'text/plain'), any).bytes).toHaveLength(1)
  })
})
