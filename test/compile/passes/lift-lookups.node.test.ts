import { describe, expect, it } from 'vitest'
import { compileModel } from '../../../src/compile/compile.ts'
import { type Tensors, tensor } from '../../../src/core/tensors.ts'
import { embeddings } from '../../../src/quantize/tables/embeddings.ts'
import { onnxModel } from '../../../synthetic/onnx.ts'
import { normals } from '../../../synthetic/random.ts'
import { never } from '../../../synthetic/source.ts'
import { change, floats } from '../../fixtures/node/quantize.ts'
import { runModel } from '../../fixtures/node/run-onnx.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const signal = never()
const ROWS = 5000

describe('rows of eight bits', () => {
  // With a scale for all, for each column, and for each row.
  it.each([[ROWS], [ROWS, 1], [ROWS, 8], [ROWS, 64]])(
    'of a table [%s, %s] are read as they are stored',
    async (...shape) => {
      const count = shape.reduce((product, size) => product * size, 1)
      const bytes = onnxModel({
        inputs: [{ name: 'ids', datatype: 'INT64', shape: ['batch', 'n'] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'n', ...shape.slice(1)] }],
        nodes: [{ op: 'Gather', inputs: ['table', 'ids'], outputs: ['y'] }],
        initializers: { table: floats(shape, normals('table', count, 0.1)) },
      })
      const { model } = await change(bytes, [embeddings({ bits: 8 })])
      const result = await compileModel(model, { signal })
      if (!result.ok) throw new Error(`${result.operator} ${result.node}: ${result.reason}`)
      expect(result.bytes.length).toBeLessThan(count * 1.1 + 4096)
      const inputs: Tensors = new Map([['ids', tensor('INT64', [2, 2], BigInt64Array.of(0n, -1n, 4999n, 77n))]])
      const expected = (await runModel(model, inputs)).get('y')
      for (const build of ['relaxed', 'plain'] as const) {
        const session = await loadVerge(vergeEngine(build), result.bytes)
        expect((await session.run(inputs, { signal })).get('y')).toEqual(expected)
        session.dispose()
      }
    },
  )
})
