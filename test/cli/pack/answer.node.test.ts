import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { answerDigest, fixedInputs } from '../../../src/cli/answer/fixed-answer.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { answerOf as answerOfRun } from '../../../src/cli/pack/answer.ts'
import { compileFile } from '../../../src/cli/pack/compiled.ts'
import { descriptionSchema } from '../../../src/cli/pack/description.ts'
import { fixedRun } from '../../../src/cli/pack/fixed-run.ts'
import { pack, packFolder } from '../../../src/cli/pack/packer.ts'
import { tensor } from '../../../src/core/tensors.ts'
import { onnxModel, seededFloats } from '../../../synthetic/onnx.ts'
import * as models from '../../../synthetic/onnx-models.ts'
import { never } from '../../../synthetic/source.ts'
import { PlanWriter } from '../../../synthetic/verge-plans.ts'
import { loadVerge, vergeEngine } from '../../fixtures/node/verge-engine.ts'

const BUILDS = ['relaxed', 'plain'] as const

async function answerOf(onnx: Uint8Array, artifact: Uint8Array) {
  const run = await fixedRun(onnx, { bytes: artifact }, never())
  return run && answerOfRun(run)
}

async function compiled(onnx: Uint8Array): Promise<Uint8Array> {
  const result = await compileFile(onnx, { sameBits: true })
  if (!result.ok) throw new Error(result.note)
  return result.model.bytes
}

describe('the answer in a manifest', () => {
  for (const name of ['digits', 'reviews']) {
    it(`of ${name} is what both builds of the kernels answer, and the same each time`, async () => {
      const { manifest, chunks } = await packFolder(join(ROOT, 'models', name))
      const answered = manifest.artifacts.filter(({ answer }) => answer !== undefined)
      expect(answered.length).toBeGreaterThan(0)
      expect(answered.map(({ format }) => format)).toEqual(
        manifest.artifacts.flatMap(({ format }) => (format === 'verge' ? [format] : [])),
      )
      for (const { answer, chunks: pieces } of answered) {
        const bytes = Buffer.concat(pieces.map(({ sha256 }) => chunks.get(sha256) ?? new Uint8Array(0)))
        for (const build of BUILDS) {
          const session = await loadVerge(vergeEngine(build), bytes)
          const outputs = await session.run(fixedInputs(answer?.inputs ?? []), { signal: never() })
          expect([...outputs.keys()]).toEqual(manifest.outputs.map((output) => output.name))
          expect(answerDigest(outputs)).toBe(answer?.sha256)
        }
      }
      expect((await packFolder(join(ROOT, 'models', name))).manifest).toEqual(manifest)
    })
  }

  it('has varied ids also where they are masked before they are looked up', async () => {
    const onnx = await readFile(join(ROOT, 'models/reviews/model.onnx'))
    const answer = await answerOf(onnx, await compiled(onnx))
    expect(answer?.inputs).toEqual([
      { name: 'input_ids', datatype: 'INT64', shape: [1, 8], below: 21_542 },
      { name: 'attention_mask', datatype: 'INT64', shape: [1, 8] },
    ])
  })

  it('has ids within the table that they are looked up in, or ones where no other id is known to fit', async () => {
    const found = lookedUp((node) => [node('Gather', ['table', 'ids'], 'y')])
    expect(await answerOf(found, await compiled(found))).toMatchObject({ inputs: [{ below: 7 }] })
    const lost = lookedUp((node) => [node('Mul', ['ids', 'ids'], 'squares'), node('Gather', ['table', 'squares'], 'y')])
    const answer = await answerOf(lost, await compiled(lost))
    expect(answer?.inputs).toEqual([{ name: 'ids', datatype: 'INT64', shape: [1, 8] }])
  })

  it("is left out where the model answers NaN, whose bits are the processor's", async () => {
    const value = (name: string) => ({ name, datatype: 'FP32' as const, shape: [2] })
    const divided = (op: string) =>
      onnxModel({
        inputs: [value('a'), value('b')],
        outputs: [value('y')],
        nodes: [{ op, inputs: ['a', 'b'], outputs: ['y'] }],
      })
    const [nan, sum] = [divided('Div'), divided('Add')]
    expect(await answerOf(nan, await compiled(nan))).toBeUndefined()
    expect(await answerOf(sum, await compiled(sum))).toBeDefined()
  })

  it('is left out where a step lets the processor choose how it rounds', async () => {
    for (const fast of [0, 1]) {
      const writer = new PlanWriter()
      const x = writer.input('x', 'FP32', [1, 4])
      const y = writer.step('matmul', [x, writer.input('w', 'FP32', [4, 2])], 'f32', [1, 2], { fast })
      writer.output('y', 'FP32', [1, 2], y)
      const answer = await answerOf(models.arithmeticModel(), writer.artifact())
      expect(answer === undefined).toBe(fast === 1)
    }
  })

  it('is left out of convolutional models in floats, which say so, unless they are to have the same bits everywhere', async () => {
    const packed = (sameBits?: boolean) =>
      pack(
        descriptionSchema.parse({
          name: 'c',
          version: '1',
          licence: 'MIT',
          artifacts: [{ file: 'm', dtype: 'fp32' }],
          sameBits,
        }),
        '',
        new Map([['m', convolution()]]),
      )
    const [fast, same] = [await packed(), await packed(true)]
    const own = ({ manifest }: typeof fast) => manifest.artifacts.find(({ format }) => format === 'verge')
    expect([own(fast)?.rounding, own(fast)?.answer]).toEqual(['processor', undefined])
    expect(fast.notes.join()).toContain('m: its products round as the processor does')
    expect([own(same)?.rounding, own(same)?.answer?.inputs]).toEqual([
      undefined,
      [{ name: 'x', datatype: 'FP32', shape: [1, 2, 6, 6] }],
    ])
    expect(same.notes.join()).not.toContain('round')
  })

  it('is left out where the input would be too large to ask for', async () => {
    const large = models.identityModel('FP32', [1, 3, 400, 400])
    expect(await answerOf(large, await compiled(large))).toBeUndefined()
  })
})

function convolution(): Uint8Array {
  const weight = tensor('FP32', [8, 2, 3, 3], seededFloats(8 * 2 * 9, 3))
  return onnxModel({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2, 6, 6] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 8, 4, 4] }],
    nodes: [{ op: 'Conv', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: { w: weight },
  })
}

type Node = { readonly op: string; readonly inputs: string[]; readonly outputs: string[] }

/** INT64 `ids` [batch, n] to rows of a table of 7. */
function lookedUp(nodes: (node: (op: string, inputs: string[], output: string) => Node) => Node[]): Uint8Array {
  return onnxModel({
    inputs: [{ name: 'ids', datatype: 'INT64', shape: ['batch', 'n'] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['batch', 'n', 4] }],
    initializers: { table: tensor('FP32', [7, 4], seededFloats(28, 3)) },
    nodes: nodes((op, inputs, output) => ({ op, inputs, outputs: [output] })),
  })
}
