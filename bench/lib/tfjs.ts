import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { decodeModel } from '../../src/onnx/codec.ts'
import { dimsOf, floatsOf } from '../../src/onnx/data.ts'
import { attributeOf, intOf, intsOf } from '../../src/onnx/make.ts'
import { CACHE } from '../models/index.ts'
import type { Runner } from './baselines.ts'
import type { Input } from './oip.ts'

/**
 * TensorFlow.js on its WebAssembly backend, which is XNNPACK: another engine that people pick. It is not among the
 * dependencies: it takes 66 MB with its source maps, and brings the types of browsers into every program.
 */
const VERSION = '4.22.0'
const FOLDER = join(CACHE, 'tfjs')
const PACKAGES = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm']

/** What makes its rows appear. */
export const INSTALL_TFJS = `npm install --prefix .verge/bench/tfjs ${PACKAGES.map((name) => `${name}@${VERSION}`).join(' ')}`

/** Whether it is installed, beside the benchmark's models. */
export function hasTfjs(): boolean {
  return PACKAGES.every((name) => existsSync(join(FOLDER, 'node_modules', name, 'package.json')))
}

interface Value {
  readonly shape: number[]
  data(): Promise<Float32Array>
  dispose(): void
}

type Activation = 'linear' | 'relu6'

/** As much of its interface as a convolutional network needs. */
interface Tfjs {
  setBackend(name: string): Promise<boolean>
  ready(): Promise<void>
  getBackend(): string
  env(): { getAsync(flag: string): Promise<unknown> }
  tensor(data: Float32Array, shape: readonly number[]): Value
  transpose(value: Value, perm: readonly number[]): Value
  mean(value: Value, axes: readonly number[]): Value
  tidy<T>(work: () => T): T
  readonly fused: {
    conv2d(options: Convolution): Value
    depthwiseConv2d(options: Convolution): Value
    matMul(options: { readonly a: Value; readonly b: Value; readonly bias: Value }): Value
  }
}

interface Convolution {
  readonly x: Value
  readonly filter: Value
  readonly strides: readonly [number, number]
  readonly pad: 'valid' | readonly (readonly [number, number])[]
  readonly bias: Value
  readonly activation: Activation
}

let starting: Promise<Tfjs> | undefined

/** @throws Error where it does not run on SIMD: its rows would say something else then */
async function start(): Promise<Tfjs> {
  const require = createRequire(join(FOLDER, 'package.json'))
  const [core] = PACKAGES.map((name) => require(name) as unknown)
  const tfjs = core as Tfjs
  await tfjs.setBackend('wasm')
  await tfjs.ready()
  if (tfjs.getBackend() !== 'wasm' || (await tfjs.env().getAsync('WASM_HAS_SIMD_SUPPORT')) !== true) {
    throw new Error('TensorFlow.js does not run on WebAssembly with SIMD here')
  }
  return tfjs
}

type Step = (values: Map<string, Value>) => void

/**
 * A convolutional network from its ONNX file, one thread, as TensorFlow.js likes it: pictures with channels last, weights
 * turned beforehand, bias and rectifier within each convolution.
 * @throws Error for graphs of other operators
 */
export async function tfjsRunner(
  onnx: Uint8Array,
): Promise<Runner & { outputOf(inputs: readonly Input[]): Promise<Float32Array> }> {
  starting ??= start()
  const tfjs = await starting
  const { steps, output } = networkOf(tfjs, onnx)
  // Its callers have pictures with channels last to begin with.
  const pictures = new Map<Input, Picture>()
  const outputOf = async ([input]: readonly Input[]): Promise<Float32Array> => {
    if (input === undefined) throw new Error('the network takes a picture')
    const picture = pictures.get(input) ?? channelsLast(input)
    pictures.set(input, picture)
    const result = tfjs.tidy(() => {
      const values = new Map([[input.name, tfjs.tensor(picture.data, picture.shape)]])
      for (const step of steps) step(values)
      return namedValue(values, output)
    })
    const data = await result.data()
    result.dispose()
    return data
  }
  return {
    outputOf,
    async run(inputs) {
      await outputOf(inputs)
    },
    async stop() {},
  }
}

function networkOf(tfjs: Tfjs, onnx: Uint8Array): { readonly steps: readonly Step[]; readonly output: string } {
  const { graph } = decodeModel(onnx)
  if (graph === undefined) throw new Error('the model has no graph')
  const weights = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]))
  const weight = (name: string | undefined, perm?: readonly number[]): Value => {
    const tensor = weights.get(name ?? '')
    if (tensor === undefined) throw new Error(`"${name}" is not a weight`)
    const value = tfjs.tensor(floatsOf(tensor), dimsOf(tensor))
    return perm ? tfjs.transpose(value, perm) : value
  }
  const steps: Step[] = []
  for (const node of graph.node) {
    const [from = '', second, third] = node.input
    const [to = ''] = node.output
    const step = (work: (value: Value) => Value): void => {
      steps.push((values) => values.set(to, work(namedValue(values, from))))
    }
    if (node.opType === 'Conv') {
      const after = graph.node.find(({ input }) => input[0] === to)
      const depthwise = intOf(node, 'group', 1) > 1
      // [out, in, h, w] to [h, w, in, out]; a depthwise one has [channels, 1, h, w] and becomes [h, w, channels, 1].
      const filter = weight(second, depthwise ? [2, 3, 0, 1] : [2, 3, 1, 0])
      const bias = weight(third)
      const [down = 1, right = 1] = intsOf(node, 'strides') ?? []
      const [top = 0, left = 0, bottom = 0, end = 0] = intsOf(node, 'pads') ?? []
      const options = {
        filter,
        bias,
        strides: [down, right],
        activation: after?.opType === 'Clip' ? 'relu6' : 'linear',
      } as const
      const pads = [
        [0, 0],
        [top, bottom],
        [left, end],
        [0, 0],
      ] as const
      const pad = top + left + bottom + end === 0 ? 'valid' : pads
      step((x) =>
        depthwise ? tfjs.fused.depthwiseConv2d({ x, pad, ...options }) : tfjs.fused.conv2d({ x, pad, ...options }),
      )
    } else if (node.opType === 'GlobalAveragePool') step((x) => tfjs.mean(x, [1, 2]))
    else if (node.opType === 'Gemm' && attributeOf(node, 'transB') === undefined) {
      const [b, bias] = [weight(second), weight(third)]
      step((a) => tfjs.fused.matMul({ a, b, bias }))
    } else if (['Clip', 'Flatten', 'Identity'].includes(node.opType)) step((x) => x)
    else throw new Error(`TensorFlow.js is not told how to run ${node.opType}`)
  }
  return { steps, output: graph.output[0]?.name ?? '' }
}

interface Picture {
  readonly data: Float32Array
  readonly shape: readonly number[]
}

function channelsLast({ data, shape }: Input): Picture {
  const [batch = 1, channels = 1, height = 1, width = 1] = shape
  const pixels = height * width
  const turned = new Float32Array(data.length)
  for (let index = 0; index < data.length; index++) {
    const [plane, pixel] = [Math.floor(index / pixels), index % pixels]
    const [item, channel] = [Math.floor(plane / channels), plane % channels]
    turned[(item * pixels + pixel) * channels + channel] = Number(data[index])
  }
  return { data: turned, shape: [batch, height, width, channels] }
}

function namedValue(values: ReadonlyMap<string, Value>, name: string): Value {
  const value = values.get(name)
  if (value === undefined) throw new Error(`there is no value "${name}"`)
  return value
}
