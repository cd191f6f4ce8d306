import { describe, expect, it } from 'vitest'
import { ambientUses } from '../../../scripts/checks/ambient-use.ts'

describe('time and randomness of the runtime', () => {
  it.each([
    'const now = Date.now()',
    'const begun = performance.now()',
    'const now = new Date()',
    'setTimeout(() => {}, 5)',
    'const signal = AbortSignal.timeout(5)',
    'const options = { random: Math.random }',
    'const id = crypto.randomUUID()',
  ])('are refused in a module of src: %s', (source) => {
    expect(ambientUses('src/serving/a.ts', source)).toHaveLength(1)
    expect(ambientUses('src/worker.ts', source)).toEqual([])
    expect(ambientUses('test/serving/a.node.test.ts', source)).toEqual([])
  })

  it.each([
    '// Date.now() stands still',
    "const text = 'Math.random()'",
    'const now = clock.now()',
    'const day = new Date(now)',
    'sent.setTimeout(5)',
    'await clock.sleep(5)',
  ])('are not seen in %s', (source) => {
    expect(ambientUses('src/serving/a.ts', source)).toEqual([])
  })
})
