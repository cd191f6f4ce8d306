import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { memorySource } from '../../src/cli/pack/bytes.ts'
import { toOrtFormat } from '../../src/cli/pack/convert.ts'
import { edgeEngine } from '../../src/cli/pack/edge-engine.ts'
import { type Tensors, tensor } from '../../src/core/tensors.ts'
import type { Session } from '../../src/engine/engine.ts'
import { decodeModel, encodeModel } from '../../src/onnx/codec.ts'
import { GraphView } from '../../src/onnx/graph.ts'
import { runPasses } from '../../src/onnx/pass.ts'
import { cleaning } from '../../src/onnx/passes/clean.ts'
import { dropDead } from '../../src/onnx/passes/drop-dead.ts'
import { upgradeOpset } from '../../src/onnx/upgrade.ts'
import { foldBias } from '../../src/quantize/fold-bias.ts'
import { type CalibrationMethod, calibrate } from '../../src/quantize/static/calibrate.ts'
import { staticInt8, staticValues } from '../../src/quantize/static/static.ts'
import { artifactOf, never } from '../../synthetic/source.ts'
import { loadNative, nativeEngine } from '../fixtures/node/native.ts'
import { crop, type Picture, planes, readPicture, resize } from '../fixtures/node/pictures.ts'
import { haveRealModels, REAL_MODELS, REAL_SAMPLES, SKIP_REASON } from '../fixtures/node/real-models.ts'

const DATA = join(ROOT, '../shared/datasets')
const haveData = existsSync(DATA)
if (!haveRealModels) console.warn(`SKIPPED: static quantization of real models, because ${SKIP_REASON}`)
if (!haveData) console.warn('SKIPPED: static quantization on digits, because ../shared/datasets is missing')

interface Quantized {
  readonly floats: Session
  readonly native: Session
  readonly edge: Session
  readonly sizes: string
}

/** As the tool does it: raised, cleaned, calibrated, quantized; for the edge in ORT format. */
async function quantize(
  file: string,
  samples: readonly Tensors[],
  method: CalibrationMethod = 'minmax',
): Promise<Quantized> {
  const original = readFileSync(file)
  const engine = nativeEngine()
  const signal = never()
  const { model } = await runPasses(
    upgradeOpset(decodeModel(original), 13),
    [...cleaning({ engine }), foldBias, dropDead],
    {
      signal,
    },
  )
  if (!model.graph) throw new Error('no graph')
  const values = staticValues(new GraphView(model, model.graph))
  const ranges = await calibrate(model, samples, { engine, values, method, signal })
  const { model: result } = await runPasses(model, [staticInt8({ ranges })], { signal })
  const bytes = encodeModel(result)
  const { bytes: ort } = await toOrtFormat(bytes)
  const edge = await (await edgeEngine()).load(await artifactOf(ort, 'ort'), memorySource(ort), { signal })
  const sizes = `${original.length} bytes to ${bytes.length} (ORT format ${ort.length})`
  return { floats: await loadNative(original), native: await loadNative(bytes), edge, sizes }
}

async function output(session: Session, inputs: Tensors, name: string): Promise<Float32Array> {
  return (await session.run(inputs, { outputs: [name], signal: never() })).get(name)?.data as Float32Array
}

const PICTURES = ['chelsea.png', 'coffee.png', 'astronaut.png', 'rocket.jpg']
const picture = (name: string): Promise<Picture> => readPicture(join(REAL_SAMPLES, 'images', name))

/** The middle of a picture, a share of its sides, brought to a size. */
function middle(image: Picture, share: number, width: number, height: number): Picture {
  return resize(crop(image, Math.round(image.width * share), Math.round(image.height * share)), width, height)
}

describe.skipIf(!haveRealModels)(`static int8 of real models (skipped only where ${SKIP_REASON})`, () => {
  const SHARES = [1, 0.8, 0.6, 0.4]

  /** Luma by ITU-R 601, 0 to 1. */
  function luma({ width, height, data }: Picture): Tensors {
    const values = Float32Array.from({ length: width * height }, (_, pixel) => {
      const [red = 0, green = 0, blue = 0] = data.subarray(4 * pixel, 4 * pixel + 3)
      return (0.299 * red + 0.587 * green + 0.114 * blue) / 255
    })
    return new Map([['input', tensor('FP32', [1, 1, height, width], values)]])
  }

  function psnr(reference: Float32Array, actual: Float32Array): number {
    const squares = reference.reduce((sum, value, index) => sum + (value - (actual[index] ?? 0)) ** 2, 0)
    return -10 * Math.log10(squares / reference.length)
  }

  it.each(PICTURES)('super-resolution keeps 35 dB on %s, calibrated on the other pictures', async (held) => {
    const others = await Promise.all(PICTURES.filter((name) => name !== held).map(picture))
    const samples = others.flatMap((image) => SHARES.map((share) => luma(middle(image, share, 224, 224))))
    const { floats, native, edge, sizes } = await quantize(join(REAL_MODELS, 'super-resolution-10/model.onnx'), samples)
    const input = luma(resize(await picture(held), 224, 224))
    const expected = await output(floats, input, 'output')
    const decibels = [
      psnr(expected, await output(native, input, 'output')),
      psnr(expected, await output(edge, input, 'output')),
    ]
    console.log(`super-resolution, ${held}: ${decibels.map((value) => value.toFixed(2)).join(' and ')} dB; ${sizes}`)
    for (const value of decibels) expect(value).toBeGreaterThanOrEqual(35)
  })

  // Entropy cuts off the largest activations, and so the sharpest of what a detector of one face goes by.
  it.each([
    ['minmax', 0.9],
    ['percentile', 0.9],
    ['entropy', 0.8],
  ] as const)(
    'ultraface finds the astronaut’s face where floats do, calibrated by %s on the other pictures',
    async (method, least) => {
      const input = (image: Picture): Tensors =>
        new Map([
          [
            'input',
            tensor(
              'FP32',
              [1, 3, 240, 320],
              planes(image, (sample) => (sample - 127) / 128),
            ),
          ],
        ])
      const others = await Promise.all(PICTURES.filter((name) => name !== 'astronaut.png').map(picture))
      const samples = others.flatMap((image) => SHARES.map((share) => input(middle(image, share, 320, 240))))
      const { floats, native, edge, sizes } = await quantize(
        join(REAL_MODELS, 'ultraface-rfb-320/model.onnx'),
        samples,
        method,
      )
      const astronaut = input(resize(await picture('astronaut.png'), 320, 240))
      const best = async (session: Session): Promise<{ box: Float32Array; score: number }> => {
        const scores = (await output(session, astronaut, 'scores')).filter((_, index) => index % 2 === 1)
        const at = scores.indexOf(Math.max(...scores))
        const boxes = await output(session, astronaut, 'boxes')
        return { box: boxes.slice(4 * at, 4 * at + 4), score: scores[at] ?? 0 }
      }
      const expected = await best(floats)
      for (const [name, session] of [
        ['native', native],
        ['edge', edge],
      ] as const) {
        const found = await best(session)
        const overlap = intersectionOverUnion(expected.box, found.box)
        console.log(
          `ultraface, ${method}, ${name}: IoU ${overlap.toFixed(4)}, score ${found.score.toFixed(4)}; ${sizes}`,
        )
        expect(overlap).toBeGreaterThanOrEqual(least)
        expect(found.score).toBeGreaterThan(0.9)
      }
    },
  )
})

/** Of boxes given by left, top, right and bottom. */
function intersectionOverUnion(one: ArrayLike<number>, other: ArrayLike<number>): number {
  const [left = 0, top = 0, right = 0, bottom = 0] = Array.from(one)
  const [left2 = 0, top2 = 0, right2 = 0, bottom2 = 0] = Array.from(other)
  const width = Math.max(0, Math.min(right, right2) - Math.max(left, left2))
  const height = Math.max(0, Math.min(bottom, bottom2) - Math.max(top, top2))
  const union = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2) - width * height
  return (width * height) / union
}

describe.skipIf(!haveData)('static int8 on digits (skipped only where ../shared/datasets is missing)', () => {
  const read = async (name: string): Promise<Uint8Array> => promisify(gunzip)(readFileSync(join(DATA, name)))

  /** Right answers of each session on the quarter of the digits that the shipped model's training left out. */
  async function measure(file: string, input: string, scale: number, method: CalibrationMethod): Promise<string[]> {
    const images = (await read('mnist-8000-images-idx3-ubyte.gz')).subarray(16)
    const labels = (await read('mnist-8000-labels-idx1-ubyte.gz')).subarray(8)
    const digit = (index: number): Tensors => {
      const pixels = Float32Array.from(images.subarray(784 * index, 784 * index + 784), (pixel) => pixel * scale)
      return new Map([[input, tensor('FP32', [1, 1, 28, 28], pixels)]])
    }
    const calibration = Array.from({ length: 100 }, (_, index) => digit(4 * index))
    const { floats, native, edge, sizes } = await quantize(file, calibration, method)
    const held = Array.from({ length: labels.length / 4 }, (_, index) => 4 * index + 3)
    const shares: number[] = []
    for (const session of [floats, native, edge]) {
      let right = 0
      for (const index of held) {
        const scores = await output(session, digit(index), session.signature.outputs[0]?.name ?? '')
        if (scores.indexOf(Math.max(...scores)) === labels[index]) right++
      }
      shares.push((100 * right) / held.length)
    }
    const [before = 0, ...after] = shares
    for (const share of after) expect(share).toBeGreaterThanOrEqual(before - 0.3)
    expect(before).toBeGreaterThan(97)
    return [...shares.map((share) => `${share.toFixed(2)} %`), sizes]
  }

  it.each(['minmax', 'percentile', 'entropy'] as const)(
    'the shipped model loses 0.3 points at most, by %s',
    async (method) => {
      const figures = await measure(join(ROOT, 'models/digits/model.onnx'), 'image', 1 / 255, method)
      console.log(`digits, ${method}: ${figures.join(', ')}`)
    },
  )

  it.skipIf(!haveRealModels)(`mnist-8 loses 0.3 points at most (skipped only where ${SKIP_REASON})`, async () => {
    const figures = await measure(join(REAL_MODELS, 'mnist-8/model.onnx'), 'Input3', 1, 'minmax')
    console.log(`mnist-8: ${figures.join(', ')}`)
  })
})
