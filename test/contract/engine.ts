import { afterEach, describe, expect, it } from 'vitest'
import { VergeError } from '../../src/core/errors.ts'
import { ARRAY_TYPES, DATATYPES, type Datatype, type Tensor, tensor } from '../../src/core/tensors.ts'
import type { Engine, Session } from '../../src/engine/engine.ts'
import {
  arithmeticModel,
  bfloat16Model,
  concatModel,
  identityModel,
  LOOKUP_COLUMNS,
  lookupModel,
  lookupRow,
  reshapeModel,
  sequenceModel,
  unknownOperatorModel,
} from '../../synthetic/onnx-models.ts'
import { artifactOf, never, sourceOf } from '../../synthetic/source.ts'
import type { EngineSubjects } from '../fixtures/engine-subjects.ts'
import { generationContract } from './generation.ts'
import { rejection } from './rejection.ts'

/** Values at the ends of each type's range, so that a wrong width or sign shows. */
const EXTREMES: { readonly [D in Datatype]: readonly (number | bigint | string)[] } = {
  BOOL: [0, 1, 1, 0, 1, 0],
  UINT8: [0, 1, 127, 128, 254, 255],
  UINT16: [0, 1, 255, 256, 32768, 65535],
  UINT32: [0, 1, 65536, 2147483647, 2147483648, 4294967295],
  UINT64: [0n, 1n, 4294967296n, 9007199254740993n, 9223372036854775808n, 18446744073709551615n],
  INT8: [-128, -1, 0, 1, 126, 127],
  INT16: [-32768, -1, 0, 1, 256, 32767],
  INT32: [-2147483648, -1, 0, 1, 65536, 2147483647],
  INT64: [-9223372036854775808n, -1n, 0n, 1n, 9007199254740993n, 9223372036854775807n],
  FP16: [0x0000, 0x3c00, 0xbc00, 0x7bff, 0x7c00, 0x0001],
  FP32: [0, -0, 1.5, -3.4028234663852886e38, Infinity, 1e-45],
  FP64: [0, -0, Math.PI, -1.7976931348623157e308, Infinity, 5e-324],
  BYTES: ['', 'a', 'naïve', '日本語', '🙂', 'x'.repeat(5000)],
}

function sample(datatype: Datatype, shape: readonly number[]): Tensor {
  const count = shape.reduce((product, size) => product * size, 1)
  const values = EXTREMES[datatype].slice(0, count)
  if (datatype === 'BYTES') return tensor('BYTES', shape, values as string[])
  const data = new ARRAY_TYPES[datatype](count)
  values.forEach((value, index) => {
    ;(data as { [index: number]: unknown })[index] = value
  })
  return tensor(datatype, shape, data as never)
}

const ONNX_SUBJECTS: EngineSubjects = {
  format: 'onnx',
  datatypes: DATATYPES,
  identity: identityModel,
  arithmetic: arithmeticModel,
  lookup: lookupModel,
  invalid: () => [identityModel('FP32', [1]).slice(0, 40), unknownOperatorModel()],
}

export interface EngineContractOptions {
  /** Left out for engines that read ONNX. Others have no strings, sequences, shapes that are data, and no text generation. */
  readonly subjects?: EngineSubjects
  /** Why the engine cannot open models with values of types that the protocol lacks; it owes a typed error then. */
  readonly opensNoForeignTypes?: string
  /** Why the engine has no operators on strings; it owes a typed error then. */
  readonly joinsNoStrings?: string
  /** Why the engine cannot look at what a kernel reads: an index that is out of range is then not an error. */
  readonly checksNoIndices?: string
  /** Why the engine does not continue texts. */
  readonly writesNoTexts?: string
}

function without(reason: string | undefined): string {
  return reason === undefined ? '' : `, or answers a typed error: ${reason}`
}

/** What every engine owes its callers. `makeEngine` gives a fresh one, or one that other tests have used. */
export function engineContract(
  name: string,
  makeEngine: () => Engine | Promise<Engine>,
  options: EngineContractOptions = {},
): void {
  const subjects = options.subjects ?? ONNX_SUBJECTS
  const onnx = options.subjects === undefined
  /** What only engines owe that read ONNX. */
  const itOfOnnx = (title: string, test: () => Promise<void>): void => {
    if (onnx) it(title, test)
  }
  describe(`engine contract: ${name}`, () => {
    const open: Session[] = []
    afterEach(() => {
      for (const session of open.splice(0)) session.dispose()
    })

    async function load(model: Uint8Array, engine?: Engine): Promise<Session> {
      const session = await (engine ?? (await makeEngine())).load(
        await artifactOf(model, subjects.format),
        sourceOf(model),
        {
          signal: never(),
        },
      )
      open.push(session)
      return session
    }

    async function run(session: Session, inputs: Record<string, Tensor>, outputs?: readonly string[]) {
      return session.run(new Map(Object.entries(inputs)), { signal: never(), ...(outputs && { outputs }) })
    }

    it.each(subjects.datatypes)('carries %s at its extremes, as scalar, matrix and empty', async (datatype) => {
      const matrix = await load(subjects.identity(datatype, ['rows', 3]))
      const values = sample(datatype, [2, 3])
      expect((await run(matrix, { input: values })).get('output')).toEqual(values)
      const empty = sample(datatype, [0, 3])
      expect((await run(matrix, { input: empty })).get('output')).toEqual(empty)
      const scalar = await load(subjects.identity(datatype, []))
      const one = sample(datatype, [])
      expect((await run(scalar, { input: one })).get('output')).toEqual(one)
    })

    it('reports the signature as the model has it', async () => {
      const session = await load(subjects.identity('FP32', ['batch', 3, -1]))
      expect(session.signature).toEqual({
        inputs: [{ name: 'input', datatype: 'FP32', shape: ['batch', 3, -1] }],
        outputs: [{ name: 'output', datatype: 'FP32', shape: ['batch', 3, -1] }],
      })
      expect(session.bytes).toBeGreaterThan(0)
      expect(session.alive).toBe(true)
    })

    it('returns the outputs asked for, in the order asked for, and all of them in the model’s order by default', async () => {
      const session = await load(subjects.arithmetic())
      const inputs = {
        a: tensor('FP32', [2], new Float32Array([5, 7])),
        b: tensor('FP32', [2], new Float32Array([2, 3])),
      }
      const all = await run(session, inputs)
      expect([...all].map(([key, value]) => [key, [...(value.data as Float32Array)]])).toEqual([
        ['sum', [7, 10]],
        ['difference', [3, 4]],
        ['product', [10, 21]],
      ])
      const some = await run(session, inputs, ['product', 'sum'])
      expect([...some.keys()]).toEqual(['product', 'sum'])
    })

    itOfOnnx('takes dynamic ranks and shapes', async () => {
      const session = await load(reshapeModel())
      const x = tensor('FP32', [6], new Float32Array([1, 2, 3, 4, 5, 6]))
      for (const shape of [[2, 3], [6], [1, 1, 3, 2], [3, 2]]) {
        const outputs = await run(session, {
          x,
          shape: tensor('INT64', [shape.length], BigInt64Array.from(shape, BigInt)),
        })
        expect(outputs.get('y')).toEqual({ datatype: 'FP32', shape, data: x.data })
      }
    })

    itOfOnnx(`joins strings${without(options.joinsNoStrings)}`, async () => {
      if (options.joinsNoStrings !== undefined) {
        expect((await rejection(load(concatModel()))).code).toBe('engine_unsupported')
        return
      }
      const session = await load(concatModel())
      const outputs = await run(session, {
        a: tensor('BYTES', [3], ['foo', '', 'ä']),
        b: tensor('BYTES', [3], ['bar', '', '🙂']),
      })
      expect(outputs.get('joined')?.data).toEqual(['foobar', '', 'ä🙂'])
    })

    it('refuses unknown, missing and mistyped inputs and unknown outputs', async () => {
      const session = await load(subjects.arithmetic())
      const a = tensor('FP32', [1], new Float32Array(1))
      expect((await rejection(run(session, { a, b: a, c: a }))).code).toBe('unknown_input')
      expect((await rejection(run(session, { a }))).code).toBe('missing_input')
      expect((await rejection(run(session, { a, b: a }, ['quotient']))).code).toBe('unknown_output')
      const wrong = tensor('INT64', [1], new BigInt64Array(1))
      expect(['invalid_tensor', 'run_rejected']).toContain((await rejection(run(session, { a, b: wrong }))).code)
      expect((await run(session, { a, b: a })).size).toBe(3)
    })

    it('refuses a shape that the model cannot take, and goes on', async () => {
      const session = await load(subjects.identity('FP32', ['rows', 3]))
      const wrong = tensor('FP32', [2, 4], new Float32Array(8))
      expect(['invalid_tensor', 'run_rejected']).toContain((await rejection(run(session, { input: wrong }))).code)
      expect((await run(session, { input: sample('FP32', [2, 3]) })).size).toBe(1)
    })

    if (options.checksNoIndices !== undefined) {
      it(`goes on after an index that is out of range: ${options.checksNoIndices}`, async () => {
        const session = await load(subjects.lookup(4096, 3))
        const at = async (row: bigint) => run(session, { row: tensor('INT64', [1], BigInt64Array.of(row)) })
        expect((await at(1_000_000n)).get('values')?.shape).toEqual([1, LOOKUP_COLUMNS])
        expect((await at(2n)).get('values')).toEqual(tensor('FP32', [1, LOOKUP_COLUMNS], lookupRow(2, 3)))
      })
    } else
      it('tells an error of the run from one of the engine', async () => {
        const session = await load(subjects.lookup(4096, 3))
        const inside = await run(session, { row: tensor('INT64', [1], new BigInt64Array([2n])) })
        expect(inside.get('values')).toEqual(tensor('FP32', [1, LOOKUP_COLUMNS], lookupRow(2, 3)))
        const error = await rejection(run(session, { row: tensor('INT64', [1], new BigInt64Array([1_000_000n])) }))
        expect(error.code).toBe('run_rejected')
        expect(error.message).toMatch(/index 1000000 is out of range, which is -16 to 15 \(operator gather/i)
        expect(session.alive).toBe(true)
        expect((await run(session, { row: tensor('INT64', [0], new BigInt64Array(0)) })).get('values')?.shape).toEqual([
          0,
          LOOKUP_COLUMNS,
        ])
      })

    const foreign = ['a bfloat16 tensor', bfloat16Model, 'brain'] as const
    if (options.opensNoForeignTypes !== undefined) {
      it(`answers a typed error when a model has ${foreign[0]}: ${options.opensNoForeignTypes}`, async () => {
        expect((await rejection(load(foreign[1]()))).code).toBe('engine_unsupported')
      })
    }

    const others = onnx
      ? [
          ['a sequence', sequenceModel, 'pieces'] as const,
          ...(options.opensNoForeignTypes === undefined ? [foreign] : []),
        ]
      : []
    it.each(others)('answers a typed error for %s, and the outputs beside it', async (_, model, name) => {
      const session = await load(model())
      expect(session.signature.outputs.find((output) => output.name === name)?.datatype).toBeNull()
      const x = tensor('FP32', [2], new Float32Array([1, 2]))
      // What nobody asks for by name is what can be given.
      expect(await run(session, { x })).toEqual(new Map([['same', x]]))
      expect((await rejection(run(session, { x }, [name]))).code).toBe('unsupported_output')
      expect((await run(session, { x }, ['same'])).get('same')).toEqual(x)
    })

    it('refuses what is no model, and leaves nothing behind', async () => {
      const engine = await makeEngine()
      const nonsense = new TextEncoder().encode('<!doctype html><title>404</title>'.repeat(50))
      for (const bytes of [nonsense, new Uint8Array(0), ...subjects.invalid()]) {
        const error = await rejection(
          engine.load(await artifactOf(bytes, subjects.format), sourceOf(bytes), { signal: never() }),
        )
        expect(error.code).toBe('model_invalid')
      }
      const session = await load(subjects.identity('FP32', [1]), engine)
      expect((await run(session, { input: sample('FP32', [1]) })).size).toBe(1)
    })

    it('passes on what the source throws, and can load the same artifact afterwards', async () => {
      const engine = await makeEngine()
      const model = subjects.lookup(300_000)
      const artifact = await artifactOf(model, subjects.format)
      const broken = new VergeError('weights_corrupt', 'chunk 3 is corrupt')
      const failing = {
        bytes: model.length,
        async deliver(write: (offset: number, data: Uint8Array) => void) {
          write(0, model.subarray(0, 1000))
          throw broken
        },
      }
      expect(await rejection(engine.load(artifact, failing, { signal: never() }))).toBe(broken)
      expect((await load(model, engine)).alive).toBe(true)
    })

    it('accepts a range again that was delivered wrongly', async () => {
      const engine = await makeEngine()
      const model = subjects.identity('INT32', ['n'])
      const session = await engine.load(
        await artifactOf(model, subjects.format),
        {
          bytes: model.length,
          async deliver(write) {
            write(0, new Uint8Array(model.length).fill(0xee))
            await Promise.resolve()
            write(0, model)
          },
        },
        { signal: never() },
      )
      open.push(session)
      expect((await run(session, { input: sample('INT32', [3]) })).get('output')).toEqual(sample('INT32', [3]))
    })

    it('refuses more bytes than the artifact has', async () => {
      const engine = await makeEngine()
      const model = subjects.identity('FP32', [1])
      const error = await rejection(
        engine.load(
          await artifactOf(model, subjects.format),
          { bytes: model.length, deliver: async (write) => write(model.length - 1, new Uint8Array(2)) },
          { signal: never() },
        ),
      )
      expect(error.code).toBe('weights_corrupt')
    })

    it('honours a signal before loading and before running', async () => {
      const engine = await makeEngine()
      const model = subjects.identity('FP32', [1])
      const gone = AbortSignal.abort()
      expect(
        (await rejection(engine.load(await artifactOf(model, subjects.format), sourceOf(model), { signal: gone })))
          .code,
      ).toBe('cancelled')
      const session = await load(model, engine)
      const inputs = new Map([['input', sample('FP32', [1])]])
      expect((await rejection(session.run(inputs, { signal: gone }))).code).toBe('cancelled')
      const late = AbortSignal.abort(new VergeError('deadline_exceeded', 'too late'))
      expect((await rejection(session.run(inputs, { signal: late }))).code).toBe('deadline_exceeded')
    })

    it('runs many callers at once without mixing them up', async () => {
      const session = await load(subjects.identity('INT32', ['n']))
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          run(session, { input: tensor('INT32', [2], new Int32Array([index, -index])) }),
        ),
      )
      expect(answers.map((outputs) => outputs.get('output')?.data)).toEqual(
        Array.from({ length: 20 }, (_, index) => new Int32Array([index, -index])),
      )
    })

    if (onnx && options.writesNoTexts === undefined) generationContract(load, makeEngine)

    it('answers session_lost after disposal, however often it is disposed', async () => {
      const session = await load(subjects.identity('FP32', [1]))
      session.dispose()
      session.dispose()
      expect(session.alive).toBe(false)
      expect((await rejection(run(session, { input: sample('FP32', [1]) }))).code).toBe('session_lost')
    })

    it('says that it is healthy', async () => {
      const health = await (await makeEngine()).health()
      expect(health).toMatchObject({ ok: true, version: expect.stringMatching(/^\d+\.\d+\.\d+/) })
    })
  })
}
