import { describe, expect, it } from 'vitest'
import { declaredLength } from '../../src/core/body.ts'

describe('a declared length', () => {
  it('is read only where it is a plain number', () => {
    expect(['0', '15', '999999999999999'].map(declaredLength)).toEqual([0, 15, 999_999_999_999_999])
    for (const header of [null, undefined, '', '-1', '1e3', '0x10', ' 5', '1, 1', '1000000000000000']) {
      expect(declaredLength(header), String(header)).toBeUndefined()
    }
  })
})
