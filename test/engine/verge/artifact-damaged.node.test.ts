import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { tensor } from '../../../src/core/tensors.ts'
import type { Attribute, Dim } from '../../../src/engine/verge/plan.ts'
import { bindPlan } from '../../../src/engine/verge/program.ts'
import { encoderPlan, SMALL_ENCODER } from '../../../synthetic/verge-encoder.ts'
import { artifactBytes } from '../../../synthetic/verge-plans.ts'
import { rejection } from '../../contract/rejection.ts'
import { damageArtifacts } from '../../fixtures/node/verge-damage.ts'
import { loadVerge, runSession, vergeEngine } from '../../fixtures/node/verge-engine.ts'
import { pagedPlan } from '../../fixtures/verge-paged.ts'
import { visionPlan } from '../../fixtures/verge-vision.ts'

const paged = await pagedPlan()

describe('damaged artifacts', () => {
  it('are refused or run, with typed errors, beside a model that stays as it is', async () => {
    const { refused, rejected, ran } = await damageArtifacts(3_000, 1)
    // All three happen, or the damage proves nothing.
    expect(Math.min(refused, rejected, ran)).toBeGreaterThan(40)
  })

  it('every operator runs undamaged, alike in both builds and whatever the batch', async () => {
    const artifact = visionPlan().artifact()
    const image = new Float32Array(3 * 192).map((_, at) => Math.sin(at))
    const inputs = {
      image: tensor('FP32', [3, 3, 8, 8], image),
      ids: tensor('INT32', [3, 2], Int32Array.of(1, 2, 3, -1, 0, 9)),
    }
    const answers = []
    for (const build of ['relaxed', 'plain'] as const) {
      answers.push(await runSession(await loadVerge(vergeEngine(build), artifact), inputs))
    }
    expect(answers[1]).toEqual(answers[0])
    const session = await loadVerge(vergeEngine(), artifact)
    const one = await runSession(session, {
      image: tensor('FP32', [1, 3, 8, 8], image.slice(192, 384)),
      ids: tensor('INT32', [1, 2], Int32Array.of(3, -1)),
    })
    const logits = answers[0]?.get('logits')?.data as Float32Array
    expect(one.get('logits')?.data).toEqual(logits.slice(10, 20))
    expect(logits.every(Number.isFinite)).toBe(true)
  })

  const writer = visionPlan()
  const plan = writer.plan()
  const cases: readonly (readonly [string, unknown, RegExp])[] = [
    ['another format', { ...plan, format: 2 }, /its plan has format 2/],
    ['no steps', { ...plan, steps: undefined }, /steps/],
    ['a step that is read before it is written', { ...plan, steps: plan.steps.slice(1) }, /read before it is written/],
    ['a buffer that is written twice', { ...plan, steps: [...plan.steps, plan.steps[0]] }, /written twice/],
    [
      'a constant behind the image',
      { ...plan, constants: plan.constants.map((item) => ({ ...item, offset: item.offset + 2 ** 20 })) },
      /outside of the image/,
    ],
    [
      'a constant that is not aligned',
      { ...plan, constants: plan.constants.map((item) => ({ ...item, offset: item.offset + 4 })) },
      /outside of the image/,
    ],
    [
      'a constant of another length',
      { ...plan, constants: plan.constants.map((item) => ({ ...item, bytes: item.bytes + 4 })) },
      /another length/,
    ],
    ['no outputs', { ...plan, outputs: [] }, /no outputs/],
    ['a symbol that nothing binds', { ...plan, symbols: [...plan.symbols, { name: 'z', max: 3 }] }, /how large "z" is/],
    ['two inputs of one name', { ...plan, inputs: [...plan.inputs, plan.inputs[0]] }, /one name|written twice/],
    ['no object', [], /no object/],
  ]
  it.each(cases)('%s is said', async (_, damaged, reason) => {
    const error = await rejection(loadVerge(vergeEngine(), artifactBytes(damaged, writer.image())))
    expect(error.code).toBe('model_invalid')
    expect(error.message).toMatch(reason)
  })

  const sound = [
    { name: 'encoder', plan: encoderPlan({ ...SMALL_ENCODER, layers: 1 }).plan(), symbols: [2, 5] },
    {
      name: 'encoder in floats',
      plan: encoderPlan({ ...SMALL_ENCODER, layers: 1, floats: true }).plan(),
      symbols: [2, 5],
    },
    { name: 'vision', plan, symbols: [3] },
    { name: 'tables in pages', plan: paged.writer.plan(), symbols: [2, 5] },
  ]

  it.each(sound)(
    'a tensor of the $name that has another size than its steps make is refused, each of them',
    (given) => {
      expect(bindPlan(given.plan, given.symbols).steps.length).toBe(given.plan.steps.length)
      // Pictures may be made any size, padding may be wider, and one value fills any tensor.
      const free = new Set(
        given.plan.steps.flatMap(({ op, out }) => (['resize', 'pad', 'fill'].includes(op) ? out : [])),
      )
      for (const [index, buffer] of given.plan.buffers.entries()) {
        if (free.has(index)) continue
        for (const axis of buffer.shape.keys()) {
          for (const change of [1, -1]) {
            const shape = buffer.shape.map((dim, at): Dim => (at === axis ? ['+', dim, change] : dim))
            const buffers = given.plan.buffers.map((item, at) => (at === index ? { ...item, shape } : item))
            const bind = () => bindPlan({ ...given.plan, buffers }, given.symbols)
            expect(bind, `buffer ${index}, axis ${axis}, ${change}`).toThrow(VergeError)
          }
        }
      }
    },
  )

  const attributes: readonly (readonly [string, string, Attribute])[] = [
    ['slice', 'starts', [0, 0, 1, 9]],
    ['slice', 'starts', [0, 0, 1, 5]],
    ['slice', 'starts', [0, 0, -1, 8]],
    ['slice', 'steps', [1, 1, 4, -2]],
    ['slice', 'steps', [1, 1, 0, -2]],
    ['pad', 'begins', [0, 0, 3, 0]],
    ['pad', 'begins', [0, 0, -1, 0]],
    ['concat', 'axis', 2],
    ['concat', 'axis', -1],
    ['transpose', 'perm', [0, 1, 1, 3]],
    ['transpose', 'perm', [0, 1, 2, 3]],
    ['gather', 'axis', 2],
    ['gather-elements', 'axis', 0.5],
    ['reduce', 'axes', [3]],
    ['reduce', 'axes', []],
    ['argument', 'axis', 0],
    ['cumulative-sum', 'axis', 2],
    ['attention', 'heads', 3],
    ['attention', 'offsets', [0, 48, 97]],
    ['attention-int8', 'heads', 3],
    ['attention-int8', 'headSize', 0],
    ['attention-int8', 'offsets', [0, 48, 97]],
    ['attention-int8', 'offsets', [-1, 48, 96]],
    ['rotary', 'heads', 3],
    ['rotary', 'headSize', 5],
    ['rotary', 'offset', 1],
    ['rotary', 'offset', -1],
    ['conv-f32', 'kernel', [2, 3]],
    ['conv-f32', 'kernel', [9, 9]],
    ['conv-int8', 'strides', [0, 1]],
    ['conv-int8', 'groups', 2],
    ['conv-int8', 'grid', -1],
    ['conv-int8', 'grid', 1e-40],
    ['conv-int8', 'zero', 256],
    ['conv-int8', 'zero', 0.5],
    ['conv-f32', 'step', -0.1],
    ['conv-depthwise', 'grid', 0.5],
    ['grid', 'step', 0],
    ['linear-grid', 'grid', 0],
    ['conv-depthwise', 'dilations', [0, 1]],
    ['conv-depthwise', 'pads', [1, 1, 1, -1]],
    ['conv-depthwise', 'pads', [4097, 1, 1, 1]],
    ['pool', 'strides', [1, 2]],
    ['dims', 'values', [1]],
    ['gather-paged', 'block', 0],
  ]
  it.each(attributes)('%s with %s %j is refused before it runs', (op, name, value) => {
    const { plan: whole, symbols } = sound.find((item) => item.plan.steps.some((step) => step.op === op)) ?? {
      plan,
      symbols: [3],
    }
    const steps = whole.steps.map((step) =>
      step.op === op ? { ...step, with: { ...step.with, [name]: value } } : step,
    )
    expect(() => bindPlan({ ...whole, steps }, symbols)).toThrow(VergeError)
  })

  it('every truncation is refused', async () => {
    const whole = writer.artifact()
    const engine = vergeEngine()
    for (let length = 0; length < whole.length; length += 97) {
      expect((await rejection(loadVerge(engine, whole.slice(0, length)))).code).toBe('model_invalid')
    }
    expect(engine.runtime.memory.used).toBe(0)
  })
})
