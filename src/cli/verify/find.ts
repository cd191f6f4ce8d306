import { isVergeError, VergeError } from '../../core/errors.ts'
import type { Datatype, Signature } from '../../core/tensors.ts'
import type { Session } from '../../engine/engine.ts'
import { decodeModel } from '../../onnx/codec.ts'
import { safeName } from '../../onnx/errors.ts'
import type { Sample } from '../../quantize/types.ts'
import { inputBounds } from './bounds.ts'
import { type InputMaker, type InputSettings, inputCandidates } from './candidates.ts'
import { movingSamples } from './moving.ts'
import { outputRanges } from './ranges.ts'
import { referenceSession, tensorOutputs } from './reference.ts'
import { elementsOf, type Shapes } from './samples.ts'

export interface FindOptions {
  readonly count: number
  readonly seed: number
  /** What Verge knows of the model's inputs. */
  readonly settings?: InputSettings | undefined
  /** Real inputs of the model's kind, if they are to be had, in case that nothing made up does. */
  readonly real?: (() => Promise<readonly Sample[]>) | undefined
  readonly signal: AbortSignal
}

/**
 * Generated samples that the model accepts and that change its outputs, if any of the usual inputs does.
 * @throws VergeError run_rejected with the attempts, their errors and how to give samples
 */
export async function findSamples(onnx: Uint8Array, options: FindOptions): Promise<Sample[]> {
  const model = decodeModel(onnx)
  const bounds = inputBounds(model)
  const session = await referenceSession(onnx, options.signal)
  try {
    const makers = inputCandidates({ signature: session.signature, bounds, settings: options.settings })
    const first = await firstThatRuns(session, makers, options.signal)
    return await movingSamples(session, [first, ...makers.slice(makers.indexOf(first) + 1)], {
      ...options,
      ranges: outputRanges(model),
    })
  } finally {
    session.dispose()
  }
}

/** Of several ways to make up inputs, the first that a model runs on. @throws VergeError run_rejected */
async function firstThatRuns(
  session: Session,
  makers: readonly InputMaker[],
  signal: AbortSignal,
): Promise<InputMaker> {
  const outputs = tensorOutputs(session)
  const failures: Failure[] = []
  for (const maker of makers) {
    signal.throwIfAborted()
    const [sample] = maker.make({ count: 1, seed: 1 })
    if (sample === undefined) continue
    try {
      await session.run(sample.inputs, { outputs, signal })
      return maker
    } catch (error) {
      if (!isVergeError(error, 'run_rejected')) throw error
      failures.push({ maker, error })
    }
  }
  throw new VergeError('run_rejected', describeFailures(session.signature, failures), {
    cause: failures.at(-1)?.error,
  })
}

interface Failure {
  readonly maker: InputMaker
  readonly error: VergeError
}

/** Reasons that are shown, and letters of each. */
const MOST_REASONS = 3
const MOST_LETTERS = 300
/** Ways that are named for one reason. */
const MOST_WAYS = 16

function describeFailures(signature: Signature, failures: readonly Failure[]): string {
  const reasons = new Map<string, { readonly first: string; readonly ways: string[] }>()
  for (const { maker, error } of failures) {
    const reason = reasonOf(error)
    // The same check fails with other numbers for other sizes.
    const kind = reason.replace(/\d+/g, '#')
    const known = reasons.get(kind) ?? { first: reason, ways: [] }
    known.ways.push(maker.name || shown(maker.shapes))
    reasons.set(kind, known)
  }
  const lines = [`The model accepted none of the ${failures.length} inputs that Verge generated:`]
  for (const { first, ways } of [...reasons.values()].slice(0, MOST_REASONS)) {
    const more = ways.length > MOST_WAYS ? `, and ${ways.length - MOST_WAYS} more` : ''
    lines.push(`  ${ways.slice(0, MOST_WAYS).join('; ')}${more}: ${safeName(first.slice(0, MOST_LETTERS))}`)
  }
  return `${lines.join('\n')}\n${howToGiveSamples(signature, failures[0]?.maker.shapes ?? new Map())}`
}

/** What ONNX Runtime says in its own words, which an operator can look up; callers of the server see less of it. */
function reasonOf({ cause, message }: VergeError): string {
  return cause instanceof Error ? cause.message.replace(/^.*?Status Message:\s*/s, '') : message
}

function shown(shapes: Shapes): string {
  return [...shapes].map(([name, shape]) => `${safeName(name)} [${shape.join(', ')}]`).join(', ')
}

/** A generated element in JSON. */
const ELEMENTS: Readonly<Partial<Record<Datatype, string>>> = { BYTES: "'a'", BOOL: 'true' }

/**
 * How to give inputs of one's own: a line for a shell that writes one request, with the sizes to be changed, and the
 * option that reads it.
 */
export function howToGiveSamples({ inputs }: Signature, shapes: Shapes): string {
  const without =
    'With --no-verify --no-measure, verge push and verge pack need no input. The model is then neither verified nor measured.'
  if (inputs.some(({ datatype }) => datatype === null || datatype === 'FP16') || elementsOf(shapes) === 0) {
    return `Give inputs that the model accepts: --samples test_data_set_0 (ONNX's test data, a file for each input).\n${without}`
  }
  const fields = inputs.map(({ name, datatype }) => {
    const shape = JSON.stringify(shapes.get(name) ?? [])
    const element = ELEMENTS[datatype as Datatype] ?? (datatype?.startsWith('FP') ? '0.5' : '1')
    return `t(${JSON.stringify(name)}, "${datatype}", ${shape}, ${element.replaceAll("'", '"')})`
  })
  const script =
    'const t = (name, datatype, shape, v) => ({name, datatype, shape, data: Array(shape.reduce((a, b) => a * b, 1)).fill(v)}); ' +
    `console.log(JSON.stringify({inputs: [${fields.join(', ')}]}))`
  return [
    'Give an input that the model accepts. Edit the sizes in this line to match your model, run it, then add --samples requests.jsonl:',
    `  node -e '${script.replaceAll("'", "'\\''")}' > requests.jsonl`,
    without,
  ].join('\n')
}
