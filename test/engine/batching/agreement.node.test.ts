import { describe, expect, it } from 'vitest'
import { VergeError } from '../../../src/core/errors.ts'
import { type Signature, type Tensor, type Tensors, tensor } from '../../../src/core/tensors.ts'
import { outputsAgree } from '../../../src/engine/batching/agreement.ts'
import { joinInputs, signatureRefusal, split } from '../../../src/engine/batching/merge.ts'
import { never } from '../../../synthetic/source.ts'
import { ask, finishAll, prove, setUp } from '../../fixtures/batching.ts'
import { settle } from '../../fixtures/clock.ts'
import { doubled, ROWS_SIGNATURE, rowsFrom } from '../../fixtures/fake-engine.ts'

type Floats = Extract<Tensor, { datatype: 'FP32' }>

const x = (inputs: Tensors): Floats => inputs.get('x') as Floats

/** Subtracts the mean over all rows: the right shape, and every row's answer depends on its neighbours. */
function centred(inputs: Tensors): Tensors {
  const { shape, data } = x(inputs)
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length
  return new Map([
    [
      'y',
      tensor(
        'FP32',
        shape,
        data.map((value) => value - mean),
      ),
    ],
  ])
}

const answers = (compute: (inputs: Tensors) => Tensors, ...asked: Tensor[]): Tensors[] =>
  asked.map((value) => compute(new Map([['x', value]])))

describe('the proof that a batch changes nothing', () => {
  it('makes the first two runs alone too, answers those, and merges from then on', async () => {
    const bench = setUp({ m: {} })
    const session = await bench.session('m')
    const asked = [1, 2, 3].map((value) => ask(session, rowsFrom(value)))
    await settle()
    expect(bench.fake.order).toEqual(['m:2'])
    await finishAll(bench.fake)
    expect(bench.fake.order.slice(0, 3)).toEqual(['m:2', 'm:1', 'm:1'])
    expect(bench.engine.stats().perModel.get('m')?.batching).toBe('proven')
    await bench.clock.advance(2)
    await finishAll(bench.fake)
    expect(await Promise.all(asked)).toEqual(answers(doubled, rowsFrom(1), rowsFrom(2), rowsFrom(3)))
  })

  it('never merges a model whose rows depend on one another, and says so once', async () => {
    const bench = setUp({ m: { compute: centred } })
    const session = await bench.session('m')
    const asked = [1, 20, 300, 4000].map((value) => ask(session, rowsFrom(value)))
    await finishAll(bench.fake)
    expect(await Promise.all(asked)).toEqual(answers(centred, rowsFrom(1), rowsFrom(20), rowsFrom(300), rowsFrom(4000)))
    expect(bench.fake.order).toEqual(['m:2', 'm:1', 'm:1', 'm:1', 'm:1'])
    expect(bench.log).toEqual([
      ['batching_off', { key: 'm', reason: 'a run gives different results in a batch than alone' }],
    ])
  })

  it('proves nothing by two runs of the same values', async () => {
    const bench = setUp({ m: { compute: centred } })
    const session = await bench.session('m')
    const asked = [5, 5, 5].map((value) => ask(session, rowsFrom(value)))
    await finishAll(bench.fake)
    await Promise.all(asked)
    expect(bench.fake.order).toEqual(['m:1', 'm:1', 'm:1'])
    expect(bench.engine.stats().perModel.get('m')?.batching).toBe('unproven')
  })

  it('proves nothing where one of the two has left', async () => {
    const bench = setUp({ m: {} })
    const session = await bench.session('m')
    const leaver = new AbortController()
    const asked = [ask(session, rowsFrom(1)), ask(session, rowsFrom(2), leaver.signal)]
    await settle()
    leaver.abort()
    bench.fake.finish()
    await settle()
    bench.fake.finish()
    await expect(asked[1]).rejects.toMatchObject({ code: 'cancelled' })
    await settle()
    bench.fake.held[0]?.fail(new VergeError('cancelled', 'gone'))
    await asked[0]
    await settle()
    expect(bench.engine.stats().perModel.get('m')?.batching).toBe('unproven')
  })

  it('stops merging when outputs come with another number of rows, and answers all the same', async () => {
    let rows = 0
    /** The first output's rows are those of the input up to two, as of a model that sorts out duplicates. */
    const compute = (inputs: Tensors): Tensors => {
      rows = Math.min(2, x(inputs).shape[0] ?? 0)
      return new Map([['y', tensor('FP32', [rows, 2], x(inputs).data.slice(0, 2 * rows))]])
    }
    const bench = setUp({ m: { compute } })
    const session = await bench.session('m')
    await prove(bench, session)
    const asked = [1, 2, 3].map((value) => ask(session, rowsFrom(value)))
    await finishAll(bench.fake)
    expect(await Promise.all(asked)).toEqual(answers(compute, rowsFrom(1), rowsFrom(2), rowsFrom(3)))
    expect(bench.engine.stats().perModel.get('m')?.batching).toBe('off')
  })

  it('leaves alone what its artifact or its signature rules out', async () => {
    const fixed: Signature = { ...ROWS_SIGNATURE, outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2] }] }
    const bench = setUp({ q8: {}, fixed: { signature: fixed } })
    for (const session of [await bench.session('q8', false), await bench.session('fixed')]) {
      const asked = [1, 2].map((value) => ask(session, rowsFrom(value)))
      await finishAll(bench.fake)
      await Promise.all(asked)
    }
    expect(bench.fake.order).toEqual(['q8:1', 'q8:1', 'fixed:1', 'fixed:1'])
    expect(bench.log.map(([event]) => event)).toEqual(['batching_impossible', 'batching_impossible'])
  })
})

describe('whose fault it is', () => {
  const picky = (inputs: Tensors): Tensors => {
    if (x(inputs).data.some((value) => value >= 100)) throw new VergeError('run_rejected', 'a value is out of range')
    return doubled(inputs)
  }

  it('runs a rejected batch one by one, so that the guilty one alone fails', async () => {
    const bench = setUp({ m: { compute: picky } })
    const session = await bench.session('m')
    await prove(bench, session)
    const asked = [1, 100, 3].map((value) => ask(session, rowsFrom(value)))
    await finishAll(bench.fake)
    expect(await Promise.allSettled(asked)).toMatchObject([
      { value: answers(doubled, rowsFrom(1))[0] },
      { reason: { code: 'run_rejected' } },
      { value: answers(doubled, rowsFrom(3))[0] },
    ])
    expect(bench.fake.order).toEqual(['m:3', 'm:1', 'm:1', 'm:1'])
    expect(bench.engine.stats().perModel.get('m')?.batching).toBe('proven')
  })

  it('tells every caller once that its run begins, and what it is part of', async () => {
    const bench = setUp({ m: { compute: picky } })
    const session = await bench.session('m')
    await prove(bench, session)
    const begun: unknown[] = []
    const asked = [1, 100, 3].map((value) =>
      session.run(new Map([['x', rowsFrom(value)]]), {
        signal: never(),
        runsBefore: value,
        onTurn: (shared) => begun.push([value, shared]),
      }),
    )
    await finishAll(bench.fake)
    await Promise.allSettled(asked)
    const shared = { rows: 3, runs: 3 }
    expect(begun).toEqual([1, 100, 3].map((value) => [value, shared]))
    expect(bench.fake.runs.map(({ options }) => options.runsBefore)).toEqual([100, 1, 100, 3])
  })

  it('takes smaller batches after one was rejected whose runs were not, and in the end none', async () => {
    const few = (inputs: Tensors): Tensors => {
      if ((x(inputs).shape[0] ?? 0) > 3) throw new VergeError('run_rejected', 'out of memory')
      return doubled(inputs)
    }
    const bench = setUp({ m: { compute: few }, one: { compute: single } }, { maxWaitMs: 0 })
    const session = await bench.session('m')
    await prove(bench, session)
    const six = () => [1, 2, 3, 4, 5, 6].map((value) => ask(session, rowsFrom(value)))
    const asked = six()
    await finishAll(bench.fake)
    asked.push(...six())
    await finishAll(bench.fake)
    await Promise.all(asked)
    expect(bench.fake.order).toEqual(['m:6', 'm:1', 'm:1', 'm:1', 'm:1', 'm:1', 'm:1', 'm:3', 'm:3'])

    const one = await bench.session('one')
    const both = [ask(one, rowsFrom(1)), ask(one, rowsFrom(2))]
    await finishAll(bench.fake)
    await Promise.all(both)
    expect(bench.engine.stats().perModel.get('one')?.batching).toBe('off')

    function single(inputs: Tensors): Tensors {
      if (x(inputs).shape[0] !== 1) throw new VergeError('run_rejected', 'cannot be reshaped')
      return doubled(inputs)
    }
  })

  it('lets the runs of an artifact go alone, by a new session too, after the engine died over a batch', async () => {
    const bench = setUp({ m: {}, n: {} })
    const session = await bench.session('m')
    await prove(bench, session)
    const asked = [ask(session, rowsFrom(1)), ask(session, rowsFrom(2))]
    await settle()
    const waiting = ask(session, rowsFrom(3))
    bench.fake.kill()
    for (const answer of [...asked, waiting]) await expect(answer).rejects.toMatchObject({ code: 'session_lost' })
    expect(session.alive).toBe(false)
    expect(bench.engine.stats()).toEqual({ queued: 0, running: 0, perModel: new Map() })

    const next = await bench.session('m')
    const again = Array.from({ length: 66 }, (_, value) => ask(next, rowsFrom(value)))
    await finishAll(bench.fake)
    await Promise.all(again)
    expect(bench.fake.order).toEqual(['m:2', ...Array.from({ length: 64 }, () => 'm:1'), 'm:2', 'm:1', 'm:1'])
  })

  it('forgets sessions that were lost while nothing ran', async () => {
    const bench = setUp({ m: {}, n: {} })
    await bench.session('m')
    bench.fake.kill()
    await bench.session('n')
    expect([...bench.engine.stats().perModel.keys()]).toEqual(['n'])
  })

  it('tells everyone what befell the engine', async () => {
    const bench = setUp({ m: {} })
    const session = await bench.session('m')
    await prove(bench, session)
    const asked = [ask(session, rowsFrom(1)), ask(session, rowsFrom(2))]
    await settle()
    bench.fake.held[0]?.fail(new VergeError('session_lost', 'gone'))
    for (const answer of asked) await expect(answer).rejects.toMatchObject({ code: 'session_lost' })
    expect(bench.engine.stats()).toMatchObject({ queued: 0, running: 0 })
  })

  it('lets no observer keep answers back', async () => {
    const bench = setUp(
      { m: {} },
      {
        onBatch: () => {
          throw new Error('no such metric')
        },
      },
    )
    const session = await bench.session('m')
    const answer = ask(session, rowsFrom(1))
    await finishAll(bench.fake)
    expect(await answer).toEqual(answers(doubled, rowsFrom(1))[0])
    expect(bench.log).toEqual([['batch_report_failed', { key: 'm', error: 'Error: no such metric' }]])
  })
})

describe('signatures that may be merged', () => {
  const value = (name: string, ...shape: (number | string)[]) => ({ name, datatype: 'FP32', shape }) as const

  it.each([
    ['named alike', [value('a', 'batch', 3), value('b', 'batch')], [value('y', 'batch', 'n')], null],
    ['unnamed', [value('a', -1, 3)], [value('y', -1)], null],
    ['partly named', [value('a', 'batch', 3)], [value('y', -1)], null],
    ['fixed', [value('a', 1, 3)], [value('y', 'batch')], /"a" is fixed/],
    ['named differently', [value('a', 'batch')], [value('y', 'rows')], /batch, rows/],
    ['a scalar', [value('a', 'batch'), value('limit')], [value('y', 'batch')], /"limit" has no dimensions/],
    [
      'no tensor',
      [value('a', 'batch')],
      [{ name: 'map', datatype: null, shape: [] }],
      /"map" does not have a tensor type/,
    ],
    ['nothing', [], [value('y', -1)], /no inputs/],
  ] as const)('first dimensions: %s', (_, inputs, outputs, refusal) => {
    const found = signatureRefusal({ inputs, outputs })
    if (refusal === null) expect(found).toBeNull()
    else expect(found).toMatch(refusal)
  })

  it('runs alone what the engine has to refuse, so that its caller alone hears of it', async () => {
    const bench = setUp({ m: {} })
    const session = await bench.session('m')
    await prove(bench, session)
    const run = (inputs: Record<string, Tensor>, outputs?: string[]) =>
      session.run(new Map(Object.entries(inputs)), { signal: never(), ...(outputs && { outputs }) })
    const short = { datatype: 'FP32', shape: [1, 2], data: new Float32Array(1) } as const
    const odd = [1, 2].flatMap(() => [
      run({ x: rowsFrom(1), z: rowsFrom(1) }),
      run({ z: rowsFrom(1) }),
      run({ x: tensor('INT32', [1, 2], new Int32Array(2)) }),
      run({ x: tensor('FP32', [], new Float32Array(1)) }),
      run({ x: rowsFrom(1, 0) }),
      run({ x: short }),
      run({ x: rowsFrom(1) }, ['z']),
      run({ x: rowsFrom(1) }, []),
    ])
    for (const answer of odd) answer.catch(() => {})
    await settle()
    for (let index = 0; index < odd.length; index++) {
      expect(bench.fake.held.length).toBe(1)
      bench.fake.held[0]?.fail(new VergeError('invalid_tensor', 'as told'))
      await settle()
    }
    expect(bench.fake.runs.length).toBe(odd.length)
  })
})

describe('joining and splitting', () => {
  it('keeps every type’s rows apart, numbers as views', () => {
    const runs = [1, 2].map(
      (rows) =>
        new Map<string, Tensor>([
          [
            'text',
            tensor(
              'BYTES',
              [rows, 1],
              Array.from({ length: rows }, (_, row) => `${rows}.${row}`),
            ),
          ],
          [
            'wide',
            tensor(
              'INT64',
              [rows, 2],
              BigInt64Array.from({ length: 2 * rows }, (_, i) => BigInt(10 * rows + i)),
            ),
          ],
          ['half', tensor('FP16', [rows], new Uint16Array(rows).fill(0x3c00 + rows))],
          ['none', tensor('FP64', [rows, 0], new Float64Array(0))],
        ]),
    )
    const joined = joinInputs(runs)
    expect(joined.get('text')).toEqual(tensor('BYTES', [3, 1], ['1.0', '2.0', '2.1']))
    expect(joined.get('wide')).toEqual(tensor('INT64', [3, 2], BigInt64Array.of(10n, 11n, 20n, 21n, 22n, 23n)))
    const parts = split(joined, [1, 2])
    expect(parts).toEqual(runs)
    const bufferOf = (tensors: Tensors | undefined): unknown => {
      const data = tensors?.get('wide')?.data
      return data && 'buffer' in data ? data.buffer : undefined
    }
    expect(bufferOf(parts?.[1])).toBeInstanceOf(ArrayBuffer)
    expect(bufferOf(parts?.[1])).toBe(bufferOf(joined))
    expect(split(joined, [1, 1])).toBeUndefined()
  })

  it.each([
    ['a rounding', tensor('FP32', [1], Float32Array.of(1000.09)), tensor('FP32', [1], Float32Array.of(1000)), true],
    ['more than that', tensor('FP32', [1], Float32Array.of(1000.2)), tensor('FP32', [1], Float32Array.of(1000)), false],
    [
      'infinity and NaN',
      tensor('FP64', [2], Float64Array.of(Infinity, NaN)),
      tensor('FP64', [2], Float64Array.of(Infinity, NaN)),
      true,
    ],
    [
      'infinity and a number',
      tensor('FP64', [1], Float64Array.of(1e300)),
      tensor('FP64', [1], Float64Array.of(Infinity)),
      false,
    ],
    ['a number and NaN', tensor('FP32', [1], Float32Array.of(1)), tensor('FP32', [1], Float32Array.of(NaN)), false],
    [
      'neighbouring halves',
      tensor('FP16', [1], Uint16Array.of(0x3c01)),
      tensor('FP16', [1], Uint16Array.of(0x3c00)),
      true,
    ],
    ['distant halves', tensor('FP16', [1], Uint16Array.of(0x3c08)), tensor('FP16', [1], Uint16Array.of(0x3c00)), false],
    ['other integers', tensor('INT64', [1], BigInt64Array.of(2n)), tensor('INT64', [1], BigInt64Array.of(1n)), false],
    ['other texts', tensor('BYTES', [1], ['a']), tensor('BYTES', [1], ['b']), false],
    ['another shape', tensor('INT8', [2], Int8Array.of(1, 2)), tensor('INT8', [2, 1], Int8Array.of(1, 2)), false],
  ])('compares outputs: %s', (_, batched, alone, agree) => {
    expect(outputsAgree(new Map([['y', batched]]), new Map([['y', alone]]))).toBe(agree)
  })
})
