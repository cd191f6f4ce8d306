import { expect, it } from 'vitest'
import { engineNames } from '../../../src/cli/doctor/engine-names.ts'

it('names each engine with its own version', () => {
  expect(engineNames('verge', '1.1.0')).toBe('verge 1.1.0')
  expect(engineNames('verge, ort', '1.1.0, 1.30.0')).toBe('verge 1.1.0, ort 1.30.0')
  expect(engineNames('verge, ort', '1.1.0')).toBe('verge 1.1.0, ort')
})
