import type { Manifest } from '../../catalog/manifest.ts'
import type { AudioSettings, WindowSettings } from '../../catalog/settings/audio.ts'
import { VergeError } from '../../core/errors.ts'
import { type Tensor, type Tensors, tensor } from '../../core/tensors.ts'

/** What a model that hears window by window hands from one to the next: plain data. */
export interface WindowState {
  /** The samples just before the next window. */
  readonly context: Float32Array
  /** In the order of the manifest's `state`. */
  readonly state: readonly Float32Array[]
}

/** Before the first window: silence, and states of zeros. */
export function initialWindowState({ context, state }: WindowSettings): WindowState {
  return { context: new Float32Array(context), state: state.map(({ shape }) => new Float32Array(count(shape))) }
}

/** The settings that such a model needs. @throws manifest_invalid */
export function windowSettings(manifest: Manifest, { window }: AudioSettings): WindowSettings {
  if (window !== undefined) return window
  throw wrong(manifest, 'has no settings for audio windows')
}

/**
 * Runs a model on the next window.
 * @param samples `length` of them
 * @throws manifest_invalid if its outputs are not what the manifest says, and what `run` throws
 */
export async function runWindow(
  samples: Float32Array,
  { context, state }: WindowState,
  manifest: Manifest,
  { sampleRate }: AudioSettings,
  settings: WindowSettings,
  run: (inputs: Tensors) => Promise<Tensors>,
): Promise<{ readonly probability: number; readonly carried: WindowState }> {
  const samplesWithContext = new Float32Array(context.length + samples.length)
  samplesWithContext.set(context)
  samplesWithContext.set(samples, context.length)
  const inputs = new Map<string, Tensor>([
    [settings.input, tensor('FP32', [1, samplesWithContext.length], samplesWithContext)],
  ])
  settings.state.forEach(({ input, shape }, i) => {
    inputs.set(input, tensor('FP32', shape, state[i] ?? new Float32Array(count(shape))))
  })
  if (settings.rate !== undefined) {
    const spec = manifest.inputs.find(({ name }) => name === settings.rate)
    inputs.set(
      settings.rate,
      tensor('INT64', spec === undefined || spec.shape.length === 0 ? [] : [1], BigInt64Array.of(BigInt(sampleRate))),
    )
  }
  const outputs = await run(inputs)
  const [probability, ...more] = floats(outputs, settings.output, manifest)
  if (probability === undefined || more.length > 0 || !(probability >= 0 && probability <= 1)) {
    throw wrong(manifest, `returned a value in "${settings.output}" that is not a probability`)
  }
  const next = settings.state.map(({ output, shape }) => {
    const values = floats(outputs, output, manifest)
    if (values.length !== count(shape))
      throw wrong(manifest, `returned a state "${output}" of a different size than its input`)
    return values
  })
  return {
    probability,
    carried: { context: samplesWithContext.slice(samplesWithContext.length - context.length), state: next },
  }
}

/** The inputs of so many windows, to be priced before the first is heard. */
export function windowShapes(
  windows: number,
  { length, context, input, state }: WindowSettings,
): ReadonlyMap<string, { readonly shape: readonly number[] }>[] {
  const shapes = new Map([
    [input, { shape: [1, context + length] }],
    ...state.map((each) => [each.input, { shape: each.shape }] as const),
  ])
  return new Array<typeof shapes>(windows).fill(shapes)
}

function floats(outputs: Tensors, name: string, manifest: Manifest): Float32Array {
  const output = outputs.get(name)
  if (output?.datatype !== 'FP32') throw wrong(manifest, `has no FP32 output "${name}"`)
  return output.data
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1)
}

function wrong({ model, version }: Manifest, what: string): VergeError {
  return new VergeError(
    'manifest_invalid',
    `Model "${model}" version "${version}" ${what}. Correct its audio settings and push it again.`,
  )
}
