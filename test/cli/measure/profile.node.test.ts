import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { profileCommand } from '../../../src/cli/commands/profile.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { byOperator, profileArtifact } from '../../../src/cli/measure/profile.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { never } from '../../../synthetic/source.ts'
import { visionPlan } from '../../fixtures/verge-vision.ts'

describe('a profile', () => {
  it('has every step in its order, its shortest time of the runs, and its work', async () => {
    const writer = visionPlan()
    const inputs = new Map([
      ['image', tensor('FP32', [1, 3, 8, 8], new Float32Array(192))],
      ['ids', tensor('INT32', [1, 2], Int32Array.of(1, 2))],
    ])
    // A clock whose steps get longer, and are shortest in the first run.
    let [now, asked] = [0, 0]
    const clock = () => {
      now += ++asked
      return now
    }
    const steps = await profileArtifact({ bytes: writer.artifact() }, { inputs, runs: 3, signal: never(), now: clock })
    expect(steps.map(({ op }) => op)).toEqual(writer.steps.map(({ op }) => op))
    expect(steps.every(({ work }) => work > 0)).toBe(true)
    const warm = 5 * 2 * steps.length
    expect(steps.map(({ milliseconds }) => milliseconds)).toEqual(steps.map((_, at) => warm + 2 * at + 2))
    const together = byOperator(steps)
    expect(together.reduce((sum, item) => sum + item.steps, 0)).toBe(steps.length)
    expect(together.find(({ op }) => op === 'matmul')?.steps).toBe(2)
  })

  it('is shown for a model, and why not where the engine does not run it', async () => {
    const digits = join(ROOT, 'models/digits/model.onnx')
    expect((await readFile(digits)).length).toBeGreaterThan(0)
    const text = (await profileCommand.run([digits, '--runs', '1'])) ?? ''
    expect(text).toMatch(/^image \[1, 1, 28, 28\]: [\d.]+ ms in 10 steps\n/)
    expect(text).toMatch(/\n {2}conv-f32 +6 /)
    await expect(profileCommand.run([join(ROOT, 'models/abacus/model.onnx'), '--runs', '1'])).rejects.toThrow(
      /Verge's own engine does not run this model: it runs on ONNX Runtime: /,
    )
  })
})
