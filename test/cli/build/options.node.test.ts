import { describe, expect, it } from 'vitest'
import { BUILD_HELP, BUILD_OPTIONS, buildSettings } from '../../../src/cli/build/arguments.ts'
import type { BuildSettings } from '../../../src/cli/build/build.ts'
import { quantizeOptions } from '../../../src/cli/build/quantize-options.ts'
import { exampleRequest } from '../../../src/cli/build/request.ts'
import { onlyArgument, parseCommand } from '../../../src/cli/command.ts'
import { UsageError } from '../../../src/cli/terminal/command-line.ts'
import { type Tensor, tensor } from '../../../src/core/tensors.ts'

function settingsFor(...args: string[]): BuildSettings {
  return buildSettings(parseCommand(args, BUILD_OPTIONS).values)
}

describe('what is asked for', () => {
  it('is chosen where nothing is said', () => {
    const { quantize, model, samples, verify, measure, keepOriginal, asked } = settingsFor()
    expect(quantize).toEqual({
      dtype: 'auto',
      method: 'auto',
      perChannel: undefined,
      symmetric: undefined,
      reduceRange: false,
      blockSize: undefined,
      excludeNodes: [],
      excludeOps: [],
      calibration: 'percentile',
      percentile: undefined,
      prune: undefined,
      maxDrop: undefined,
      embeddings: undefined,
      embeddingRank: undefined,
      embeddingLoss: undefined,
    })
    const { paging, ...others } = model
    expect(paging).toEqual({ fields: {}, texts: undefined })
    expect(Object.values(others).filter((value) => value !== undefined)).toEqual([false, false])
    expect(samples).toEqual({ samples: undefined, limit: 200, part: undefined, tolerance: undefined })
    expect({ verify, measure, keepOriginal }).toEqual({ verify: true, measure: true, keepOriginal: true })
    expect(asked).toEqual({})
  })

  it('is taken as it is said, and told in the report', () => {
    const { quantize, model, samples, asked } = settingsFor(
      ...['--dtype', 'q8', '--method', 'static', '--calibration', 'percentile', '--percentile', '99.5'],
      ...['--exclude', '/head/*', '--exclude', 'last', '--exclude-op', 'Gather', '--prune', '0.25'],
      ...[
        '--name',
        'mine',
        '--model-version',
        '2026-11',
        '--task',
        'none',
        '--licence',
        'MIT',
        '--public',
        '--downloadable',
      ],
      ...['--samples', 'pictures', '--samples-limit', '17', '--samples-part', '3/4', '--tolerance', '0.98'],
    )
    expect(quantize).toMatchObject({
      dtype: 'q8',
      method: 'static',
      percentile: 99.5,
      excludeNodes: ['/head/*', 'last'],
      excludeOps: ['Gather'],
      prune: 0.25,
    })
    expect(model).toMatchObject({
      name: 'mine',
      version: '2026-11',
      task: 'none',
      licence: 'MIT',
      visibility: 'public',
      downloadable: true,
    })
    expect(samples).toEqual({
      samples: 'pictures',
      limit: 17,
      part: { remainder: 3, divisor: 4 },
      tolerance: 0.98,
    })
    expect(asked).toMatchObject({ dtype: 'q8', exclude: ['/head/*', 'last'], public: true, 'samples-part': '3/4' })
    expect(quantizeOptions(quantize)).toMatchObject({
      exclude: { nodes: ['/head/*', 'last'], ops: ['Gather'] },
      calibration: { method: 'percentile', percentile: 99.5 },
      prune: 0.25,
    })
  })

  it('names engines once each, in the order that they are packed in', () => {
    const engines = (value: string) => settingsFor('--engines', value).model.engines
    expect(engines('onnxruntime')).toEqual(['onnxruntime'])
    expect(engines('onnxruntime, verge')).toEqual(['verge', 'onnxruntime'])
    for (const value of ['ort', 'verge,verge', 'verge,', ','])
      expect(() => engines(value)).toThrow(/--engines takes verge/)
    expect(settingsFor('--engines', 'verge').asked).toEqual({ engines: 'verge' })
  })

  it('may be turned off', () => {
    const off = settingsFor('--no-verify', '--no-measure', '--no-original', '--no-per-channel', '--no-symmetric')
    expect(off).toMatchObject({ verify: false, measure: false, keepOriginal: false })
    expect(off.quantize).toMatchObject({ perChannel: false, symmetric: false, reduceRange: false })
    const on = settingsFor('--per-channel', '--symmetric', '--reduce-range', '--private')
    expect(on.quantize).toMatchObject({ perChannel: true, symmetric: true, reduceRange: true })
    expect(on.model.visibility).toBe('private')
    expect(settingsFor('--no-reduce-range').quantize.reduceRange).toBe(false)
  })

  it('reads more samples where accuracy is what counts, unless told otherwise', () => {
    expect(settingsFor('--samples', 's', '--max-drop', '0.5').samples.limit).toBe(2000)
    expect(settingsFor('--samples', 's', '--max-drop', '0.5', '--samples-limit', '50').samples.limit).toBe(50)
  })

  it.each(['16', '32', '64', '128', '256'])('takes blocks of %s', (size) => {
    const { quantize } = settingsFor('--dtype', 'q4', '--block-size', size)
    expect(quantizeOptions(quantize).blockSize).toBe(Number(size))
  })
})

/** Arguments, and what the message has to name. */
const INVALID: readonly (readonly [args: string, ...named: string[]])[] = [
  ['--dtype int4', '--dtype', '"int4"', 'fp16', 'q4f16', 'auto'],
  ['--method fast', '--method', 'dynamic', 'static', 'weights'],
  ['--calibration mean', '--calibration', 'minmax', 'entropy'],
  ['--block-size 48 --dtype q4', '--block-size', '"48"', '16, 32, 64, 128, 256'],
  ['--block-size 16.5 --dtype q4', '--block-size', '"16.5"'],
  ['--block-size 512 --dtype q4', '--block-size', '"512"'],
  ['--block-size many --dtype q4', '--block-size', '"many"'],
  ['--percentile 101 --samples s', '--percentile', '50 to 100'],
  ['--percentile 99,9 --samples s', '--percentile', '"99,9"'],
  ['--prune 1', '--prune', '0 to 0.95'],
  ['--prune=-0.1', '--prune'],
  ['--prune NaN', '--prune', '"NaN"'],
  ['--max-drop 101 --samples s', '--max-drop', '0 to 100'],
  ['--max-drop half --samples s', '--max-drop', '"half"'],
  ['--embeddings fp8', '--embeddings', 'low-rank', 'int4'],
  ['--embeddings low-rank --embedding-rank 0', '--embedding-rank', '1 to 1024'],
  ['--embeddings low-rank --embedding-loss 0.6', '--embedding-loss', '0 to 0.5'],
  ['--samples-limit 0 --samples s', '--samples-limit', '1 to 100000'],
  ['--samples-limit 1.5 --samples s', '--samples-limit', 'whole number'],
  ['--samples-part 4/4 --samples s', '--samples-part', '3/4', '"4/4"'],
  ['--samples-part half --samples s', '--samples-part', '"half"'],
  ['--samples-part=-1/4 --samples s', '--samples-part'],
  ['--tolerance 1.01', '--tolerance', '0 to 1'],
  ['--tolerance x', '--tolerance', '"x"'],
  ['--name Mine', '--name', 'lower-case', '"Mine"'],
  ['--name ..', '--name'],
  ['--name a/b', '--name'],
  [`--name ${'a'.repeat(65)}`, '--name', 'at most 64'],
  ['--model-version 1/2', '--model-version', '"1/2"'],
  ['--task chat', '--task', 'image-classification', 'none'],
  ['--name=', '--name is empty'],
  ['--samples=', '--samples is empty'],
  ['--exclude=', '--exclude is empty'],
  ['--dtype=', '--dtype is empty'],
]

const CONTRADICTIONS: readonly (readonly [args: string, ...named: string[]])[] = [
  ['--public --private', '--public', '--private'],
  ['--no-public', '--private'],
  ['--no-private', '--public'],
  ['--method static', '--method static', '--samples', '--method weights'],
  ['--method dynamic --dtype q4', '--method', '--dtype q4'],
  ['--method weights --dtype fp16', '--method', '--dtype fp16'],
  ['--method dynamic --dtype fp32', '--method', '--dtype fp32'],
  ['--max-drop 1', '--max-drop', '--samples'],
  ['--max-drop 1 --samples s --method weights', '--max-drop', '--method'],
  ['--max-drop 1 --samples s --dtype fp16', '--max-drop', '--dtype fp16'],
  ['--max-drop 1 --samples s --dtype uint8', '--max-drop', '--dtype uint8'],
  ['--block-size 32', '--block-size', '--dtype q4'],
  ['--block-size 32 --dtype int8', '--block-size', '--dtype q4'],
  ['--block-size 32 --dtype q8 --max-drop 1 --samples s', '--block-size', '--dtype q4'],
  ['--embeddings int4 --dtype q4', '--embeddings', '--dtype q4'],
  ['--embeddings auto --dtype fp16', '--embeddings', '--dtype fp16'],
  ['--embeddings int4 --max-drop 1 --samples s', '--embeddings', '--max-drop'],
  ['--embeddings int4 --embedding-rank 64', '--embedding-rank', '--embeddings low-rank'],
  ['--embedding-loss 0.1', '--embedding-loss', '--embeddings low-rank'],
  ['--embeddings low-rank --embedding-rank 64 --embedding-loss 0.1', '--embedding-rank', '--embedding-loss'],
  ['--block-size 32 --embeddings low-rank', '--block-size', '--embeddings int4'],
  ['--per-channel --dtype fp16', '--per-channel', '--dtype fp16'],
  ['--no-symmetric --dtype fp32', '--symmetric', '--dtype fp32'],
  ['--reduce-range --dtype fp32', '--reduce-range', '--dtype fp32'],
  ['--calibration entropy', '--calibration', '--samples'],
  ['--calibration entropy --samples s --dtype q4', '--calibration', '--method static'],
  ['--calibration minmax --samples s --method dynamic', '--calibration', '--method static'],
  ['--percentile 99 --samples s --calibration minmax', '--percentile', '--calibration percentile', 'minmax'],
  ['--samples-limit 10', '--samples-limit', '--samples'],
  ['--samples-part 1/2', '--samples-part', '--samples'],
]

describe('what cannot be asked for', () => {
  it.each([...INVALID, ...CONTRADICTIONS])('%s', (line, ...named) => {
    const failed = (): unknown => settingsFor(...line.split(' '))
    expect(failed).toThrow(UsageError)
    for (const part of named) expect(failed).toThrow(part)
  })

  it.each(['--prun 0.5', '--prune', '--verify=yes', '-x'])('%s is no argument', (line) => {
    expect(() => settingsFor(...line.split(' '))).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^ERR_PARSE_ARGS_/) }),
    )
  })

  it('is no model, or several', () => {
    expect(onlyArgument(['a'], 'which')).toBe('a')
    expect(() => onlyArgument([], 'a model: npx verge push model.onnx')).toThrow(
      new UsageError('Specify a model: npx verge push model.onnx.'),
    )
    expect(() => onlyArgument(['a', 'b c'], 'which')).toThrow(new UsageError('Specify only one: "a", "b c".'))
  })
})

it('the help says every option, and no other', () => {
  const said = new Set(BUILD_HELP.match(/--[a-z][a-z-]*/g))
  for (const [name, { type }] of Object.entries(BUILD_OPTIONS)) {
    expect(said.has(`--${name}`) || (type === 'boolean' && said.has(`--no-${name}`)), name).toBe(true)
  }
  for (const option of said) {
    const name = option.replace(/^--/, '')
    expect(Object.hasOwn(BUILD_OPTIONS, name) || Object.hasOwn(BUILD_OPTIONS, name.replace(/^no-/, '')), option).toBe(
      true,
    )
  }
})

describe('the example request of a model', () => {
  const one = (value: Tensor): unknown => {
    const text = exampleRequest(new Map([['x', value]]))
    return text === undefined ? undefined : JSON.parse(text).inputs[0].data
  }

  it('is of numbers, truth values and texts as JSON has them', () => {
    expect(exampleRequest(new Map([['x', tensor('FP32', [1, 2], Float32Array.of(0.1, -2))]]))).toBe(
      '{"inputs":[{"name":"x","datatype":"FP32","shape":[1,2],"data":[0.1,-2]}]}',
    )
    expect(one(tensor('INT64', [2], BigInt64Array.of(-3n, 2n ** 53n - 1n)))).toEqual([-3, 2 ** 53 - 1])
    expect(one(tensor('BOOL', [2], Uint8Array.of(0, 1)))).toEqual([false, true])
    expect(one(tensor('BYTES', [1], ["it's"]))).toEqual(["it's"])
  })

  it('is none where JSON would say something else', () => {
    expect(one(tensor('INT64', [1], BigInt64Array.of(2n ** 53n)))).toBeUndefined()
    expect(one(tensor('FP32', [1], Float32Array.of(Number.NaN)))).toBeUndefined()
    expect(one(tensor('FP16', [1], Uint16Array.of(0x3c00)))).toBeUndefined()
    expect(one(tensor('UINT8', [200_001], new Uint8Array(200_001)))).toBeUndefined()
  })
})
