import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { imageSettingsSchema } from '../../../src/catalog/manifest.ts'
import { imageSettings } from '../../../src/cli/describe/image.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { finish } from '../../../src/core/work.ts'
import { preprocessing } from '../../../src/media/image/preprocess.ts'
import { pictureWork } from '../../../src/tasks/pictures/input.ts'

interface Golden {
  readonly images: readonly string[]
  readonly cases: readonly {
    readonly name: string
    readonly settings: Readonly<Record<string, unknown>>
    readonly exact: boolean
    readonly shape: readonly number[]
    readonly tensors: readonly string[]
  }[]
}

/** What transformers' own image processors make of these settings: `image-processors.py`. */
const GOLDEN = JSON.parse(readFileSync(join(ROOT, 'test/fixtures/image-processors.json'), 'utf8')) as Golden
const ANY = { layout: 'NCHW', channels: 3, height: undefined, width: undefined } as const

function floatsOf(base64: string): Float32Array {
  const bytes = new Uint8Array(Buffer.from(base64, 'base64'))
  return new Float32Array(bytes.buffer)
}

describe('settings of image processors', () => {
  it.each(GOLDEN.cases.map((golden) => [golden.name, golden] as const))(
    'make the tensors that transformers makes: %s',
    async (_, { settings, exact, shape, tensors }) => {
      const outcome = imageSettings(settings, ANY)
      if ('problem' in outcome) throw new Error(outcome.problem)
      const image = imageSettingsSchema.parse(outcome.value.image)
      // What is done otherwise than in training is said.
      if (!exact) expect(outcome.value.notes.join('\n')).toMatch(/differ slightly/)
      for (const [index, file] of GOLDEN.images.entries()) {
        const bytes = new Uint8Array(Buffer.from(file, 'base64'))
        const made = finish(pictureWork(bytes, LIMITS, (decoded, meter) => preprocessing(decoded, image, meter)))
        expect(made.shape).toEqual([1, ...shape])
        const expected = floatsOf(tensors[index] ?? '')
        const distances = expected.map((value, i) => Math.abs(value - (made.samples[i] ?? Number.NaN)))
        if (exact) expect(Math.max(...distances)).toBeLessThan(1e-5)
        // In units of the deviation, over pictures whose noise has a tenth of the range.
        else expect(distances.reduce((sum, value) => sum + value, 0) / distances.length).toBeLessThan(0.1)
      }
    },
  )
})
