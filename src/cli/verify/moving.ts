import { isVergeError } from '../../core/errors.ts'
import type { Session } from '../../engine/engine.ts'
import type { Sample } from '../../quantize/types.ts'
import type { InputMaker, MakeOptions } from './candidates.ts'
import { ExerciseWatch, stillness } from './exercise.ts'
import type { FindOptions } from './find.ts'
import { page } from './pictures.ts'
import { tensorOutputs } from './reference.ts'
import { isPicture } from './samples.ts'
import { toleranceFor } from './tolerance.ts'

export interface MovingOptions extends Pick<FindOptions, 'count' | 'seed' | 'real' | 'signal'> {
  /** Ranges of outputs, where they are known: see `outputRanges`. */
  readonly ranges: ReadonlyMap<string, number>
}

/** Runs by which an attempt is judged. */
const TRIALS = 3
/** Other sizes that are tried. */
const OTHER_SIZES = 3
/** Models without settings may take their pixels as bytes; other numbers may be counts or prices. */
const SCALES = [255, 16]
/** Scores below this are nothing in 8 bits, which most models are pushed in. */
const FLOOR = toleranceFor('q8').floor

/**
 * The first samples that change every output. It tries in this order: the usual samples, the same in other scales,
 * pages of handwriting for images, other sizes, and real inputs. If no attempt changes all outputs, the best attempt is
 * used, and the proof names the outputs that it could not exercise.
 * @param makers ways of making inputs, of which the session runs the first
 */
export async function movingSamples(
  session: Session,
  makers: readonly InputMaker[],
  options: MovingOptions,
): Promise<Sample[]> {
  const { count, seed, signal } = options
  let best: { readonly moving: number; readonly make: () => Sample[] } | undefined
  for (const attempt of attempts(session, makers)) {
    signal.throwIfAborted()
    const make = (most: number): Sample[] => attempt({ count: most, seed })
    const { moving, all } = await movement(session, make(Math.min(TRIALS, count)), options)
    if (moving === all) return make(count)
    if (moving > (best?.moving ?? -1)) best = { moving, make: () => make(count) }
  }
  const real = (await options.real?.()) ?? []
  if (real.length > 0 && (await movement(session, real, options)).moving > (best?.moving ?? -1))
    return real.slice(0, count)
  return best?.make() ?? []
}

type Attempt = (options: MakeOptions) => Sample[]

function* attempts({ signature }: Session, makers: readonly InputMaker[]): Iterable<Attempt> {
  const [first, ...others] = makers
  if (first === undefined) return
  const make = (maker: InputMaker, more: Partial<MakeOptions> = {}): Attempt => {
    return (options) => maker.make({ ...options, ...more })
  }
  yield make(first)
  const pictures = signature.inputs.some(isPicture)
  const floats = signature.inputs.some(({ datatype }) => datatype?.startsWith('FP'))
  if (pictures) {
    yield make(first, { pixels: page })
    if (floats) yield make(first, { pixels: page, scale: 255 })
  }
  if (floats) for (const scale of SCALES) yield make(first, { scale })
  for (const maker of others.slice(0, OTHER_SIZES)) yield make(maker, pictures ? { pixels: page } : {})
}

interface Movement {
  /** Outputs that move; -1 where the model does not run. */
  readonly moving: number
  readonly all: number
}

/**
 * How many of the outputs move. Whole numbers and strings count only where there is nothing else: the class that a model
 * names may be the same for most inputs, and its scores tell more.
 */
async function movement(
  session: Session,
  samples: readonly Sample[],
  { ranges, signal }: Pick<MovingOptions, 'ranges' | 'signal'>,
): Promise<Movement> {
  const outputs = tensorOutputs(session)
  const watches = new Map(outputs.map((name) => [name, new ExerciseWatch()]))
  try {
    for (const { inputs } of samples) {
      for (const [name, value] of await session.run(inputs, { outputs, signal })) watches.get(name)?.add(value)
    }
  } catch (error) {
    if (!isVergeError(error, 'run_rejected')) throw error
    return { moving: -1, all: outputs.length }
  }
  const seen = [...watches].map(([name, watch]) => ({ name, ...watch.result() }))
  const floats = seen.filter(({ largest }) => largest !== null)
  const judged = floats.length > 0 ? floats : seen
  const moving = judged.filter((exercise) => {
    const { largest, name, nans } = exercise
    return nans === 0 && stillness(exercise) === null && (largest === null || largest > FLOOR * (ranges.get(name) ?? 0))
  })
  return { moving: moving.length, all: judged.length }
}
