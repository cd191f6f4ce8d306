import { describe, expect, it } from 'vitest'
import { errorFields, VergeError } from '../../src/core/errors.ts'

describe('the fields of an error', () => {
  it('are what JSON alone would leave out, with the codes and causes below', () => {
    const refused = Object.assign(new TypeError('connect'), { code: 'ECONNREFUSED' })
    const error = new VergeError('store_unavailable', 'The store did not answer.', { cause: refused })
    expect(JSON.parse(JSON.stringify(errorFields(error)))).toEqual({
      name: 'VergeError',
      code: 'store_unavailable',
      message: 'The store did not answer.',
      stack: expect.stringContaining('errors-fields'),
      cause: { name: 'TypeError', code: 'ECONNREFUSED', message: 'connect', stack: expect.any(String) },
    })
  })

  it('end after four causes, and so do circles', () => {
    const error = new Error('again')
    error.cause = error
    expect(JSON.stringify(errorFields(error)).match(/"message":"again"/g)).toHaveLength(5)
  })

  it('are any other value as it is', () => {
    expect(['text', 3, null, undefined].map((value) => errorFields(value))).toEqual(['text', 3, null, undefined])
  })
})
