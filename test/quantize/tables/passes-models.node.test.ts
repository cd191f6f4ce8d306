import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'
import { compileModel } from '../../../src/compile/compile.ts'
import { type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import { decodeModel } from '../../../src/onnx/codec.ts'
import { quantizeModel } from '../../../src/quantize/quantize.ts'
import { Agreement } from '../../../src/quantize/shared/metrics.ts'
import { seededFloats } from '../../../synthetic/onnx.ts'
import { never } from '../../../synthetic/source.ts'
import { haveRealModels, REAL_MODELS, SKIP_REASON } from '../../fixtures/node/real-models.ts'
import { loadModel, plainEngine } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const signal = never()

interface Case {
  readonly file: string
  /** Token ids are below this. */
  readonly most: number
  readonly tables: { readonly int8: number; readonly int4: number }
  readonly cosine: { readonly int8: number; readonly int4: number }
}

/** Texts of made-up tokens: they read all parts of a table alike. */
function texts(most: number): Tensors[] {
  return Array.from({ length: 20 }, (_, seed) => {
    const values = seededFloats(40, seed + 1)
    const row = (of: (value: number) => number): Tensor =>
      tensor(
        'INT64',
        [1, 40],
        BigInt64Array.from(values, (value) => BigInt(of(value))),
      )
    const ids = row((value) => Math.floor(((value + 1) / 2) * most))
    return new Map([
      ['input_ids', ids],
      ['attention_mask', row(() => 1)],
    ])
  })
}

async function measured({ file, most }: Case, form: 'int8' | 'int4' | 'low-rank') {
  const model = decodeModel(readFileSync(file))
  const {
    model: result,
    layers,
    notes,
  } = await quantizeModel(model, { dtype: 'q8', tables: { form } }, { engine: plainEngine(), signal })
  const compiled = await compileModel(result, { signal })
  if (!compiled.ok) throw new Error(`${compiled.operator} ${compiled.node}: ${compiled.reason}`)
  const [original, native] = [await loadModel(model), await loadModel(result)]
  const own = await loadVerge(vergeEngine(), compiled.bytes)
  const [agreement, engines] = [new Agreement(), new Agreement()]
  for (const inputs of texts(most)) {
    const [expected, actual, mine] = await Promise.all(
      [original, native, own].map(async (session) => {
        const [output] = (await session.run(inputs, { signal })).values()
        return output?.data as Float32Array
      }),
    )
    agreement.add(expected as Float32Array, mine as Float32Array)
    engines.add(actual as Float32Array, mine as Float32Array)
  }
  for (const session of [original, native, own]) session.dispose()
  const tables = layers.filter(({ op }) => op === 'Gather').reduce((sum, { bytesAfter }) => sum + bytesAfter, 0)
  return { tables, cosine: agreement.cosine, engines: engines.cosine, notes: notes.join('\n') }
}

/** What docs/quantize.md says of this model. */
async function figures(model: Case): Promise<void> {
  for (const form of ['int8', 'int4'] as const) {
    const { tables, cosine, engines } = await measured(model, form)
    expect(tables).toBe(model.tables[form])
    expect(cosine).toBeGreaterThan(model.cosine[form])
    expect(engines).toBeGreaterThan(0.9999)
  }
  const { tables, notes } = await measured(model, 'low-rank')
  expect(tables).toBe(model.tables.int8)
  expect(notes).toMatch(/stays in 8 bits: rank \d+ of \d+ keeps/)
}

describe('tables of trained models', () => {
  it('reviews', () =>
    figures({
      file: join(ROOT, 'models/reviews/model.onnx'),
      most: 21_542,
      tables: { int8: 890_573, int4: 531_878 },
      cosine: { int8: 0.9995, int4: 0.998 },
    }))

  it.skipIf(!haveRealModels)(`model2vec (skipped only where ${SKIP_REASON})`, () =>
    figures({
      file: join(REAL_MODELS, 'm2v-bge64-converted/model.onnx'),
      most: 29_524,
      tables: { int8: 38_232, int4: 34_136 },
      cosine: { int8: 0.9998, int4: 0.993 },
    }),
  )
})
