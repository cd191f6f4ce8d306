import { describe, expect, it } from 'vitest'
import { fileName, httpRequest } from '../../../page/code/request.ts'

const CONTEXT = { url: 'https://verge.example', model: 'a model' }

describe('httpRequest', () => {
  it('puts parameters beside JSON, and into the query beside bytes', () => {
    const parameters = { top_k: 2, ignore_labels: ['O', 'X'], left: undefined }
    expect(httpRequest({ method: 'run', input: 'text', parameters }, CONTEXT)).toMatchObject({
      path: '/run/a%20model',
      json: { inputs: 'text', parameters: { top_k: 2 } },
    })
    const input = new Blob(['x'], { type: 'image/png' })
    expect(httpRequest({ method: 'run', input, parameters }, { ...CONTEXT, version: '2' })).toEqual({
      path: '/run/a%20model?version=2&top_k=2&ignore_labels=O&ignore_labels=X',
      json: undefined,
      file: { type: 'image/png', name: 'picture.png' },
      headers: {},
    })
  })

  it('writes an object in the query as JSON', () => {
    const parameters = { target_size: { width: 3, height: 2 } }
    const input = new Blob(['x'], { type: 'image/png' })
    const { path } = httpRequest({ method: 'run', input, parameters }, CONTEXT)
    expect(new URL(path, CONTEXT.url).searchParams.get('target_size')).toBe('{"width":3,"height":2}')
  })

  it('has the numbers of halves, and not their bits', () => {
    const input = { x: { shape: [3], datatype: 'FP16', data: Uint16Array.of(0x3c00, 0xc000, 0x3800) } }
    expect(httpRequest({ method: 'infer', input }, CONTEXT)).toMatchObject({
      json: { inputs: [{ name: 'x', datatype: 'FP16', shape: [3], data: [1, -2, 0.5] }] },
    })
  })

  it('names the version where the route has it', () => {
    const input = { x: { shape: [2], data: new Float32Array([1, 2]) }, y: { shape: [1], data: ['a'] } }
    expect(httpRequest({ method: 'infer', input }, { ...CONTEXT, version: '3' })).toMatchObject({
      path: '/v2/models/a%20model/versions/3/infer',
      json: {
        inputs: [
          { name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] },
          { name: 'y', datatype: 'BYTES', shape: [1], data: ['a'] },
        ],
      },
    })
    const chat = httpRequest({ method: 'chat', input: [] }, { ...CONTEXT, version: '3' }, true)
    expect(chat).toMatchObject({ path: '/v1/chat/completions?version=3', json: { stream: true } })
  })

  it('sends a placeholder for the key, and the place that was asked for', () => {
    const { headers } = httpRequest({ method: 'run', input: 'x' }, { ...CONTEXT, needsKey: true, place: 'origin' })
    expect(headers).toEqual({ authorization: 'Bearer YOUR_VERGE_API_KEY', 'verge-place': 'origin' })
    expect(httpRequest({ method: 'run', input: 'x' }, { ...CONTEXT, place: 'browser' }).headers).toEqual({})
  })
})

describe('fileName', () => {
  it.each([
    ['a name of its own', new File(['x'], 'five.png', { type: 'image/png' }), 'five.png'],
    ['a name that a shell would read', new File(['x'], '$(id) & x.png', { type: 'image/png' }), 'picture.png'],
    ['a name that curl would read', new File(['x'], '-x.wav', { type: 'audio/wav' }), 'sound.wav'],
    ['a type with parameters', new Blob(['x'], { type: 'text/csv; charset=utf-8' }), 'table.csv'],
    ['no type', new Blob(['x']), 'file.bin'],
  ])('of a file with %s', (_, blob, name) => {
    expect(fileName(blob)).toBe(name)
  })
})
