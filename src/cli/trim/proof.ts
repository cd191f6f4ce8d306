import { isVergeError } from '../../core/errors.ts'
import type { Tensor, Tensors } from '../../core/tensors.ts'
import type { Session } from '../../engine/engine.ts'
import { isOnnxError, OnnxError, safeName } from '../../onnx/errors.ts'
import type { Sample } from '../../quantize/types.ts'
import { topClass } from '../samples/answers.ts'
import type { InputSettings } from '../verify/candidates.ts'
import { findSamples } from '../verify/find.ts'
import { uniform } from '../verify/random.ts'
import { referenceSession, tensorOutputs } from '../verify/reference.ts'
import { cosineOfAnswers } from './answers.ts'
import { TOKENS_INPUT } from './trim.ts'

/** Losses of trimming on samples. */
export interface TrimLoss {
  readonly samples: number
  /** Of all samples, with the original tokenizer. */
  readonly tokens: number
  /** Share of these tokens that stay. */
  readonly tokensKept: number
  /** Share of the samples with the same tokens as before. */
  readonly samplesUnchanged: number
  readonly metric: 'accuracy' | 'agreement' | 'cosine'
  /** Of the trimmed model and of the original, 0 to 1. */
  readonly value: number
  readonly baseline: number
}

/** What a proof has shown. */
export interface TrimProof {
  /** Undefined without samples. */
  readonly loss: TrimLoss | undefined
  /** How many inputs gave the same tokens to both models, and had the same answer. 0: nothing is proven. */
  readonly same: number
}

export interface TrimProofOptions {
  readonly original: Uint8Array
  readonly trimmed: Uint8Array
  /** Old numbers by new ones. */
  readonly kept: Int32Array
  /** The same samples in the same order, by the original tokenizer and by the trimmed one. */
  readonly before: readonly Sample[]
  readonly after: readonly Sample[]
  /** How many classes the model has; undefined where it does not classify. */
  readonly classes: number | undefined
  readonly settings: InputSettings | undefined
  readonly signal: AbortSignal
}

/**
 * Compares a trimmed model with its original in onnxruntime-node. Each gets the numbers that its own tokenizer makes of a
 * text. Made-up tokens that stay, and samples with the same tokens as before, must have the same answer, bit for bit.
 * @throws OnnxError disagrees where the same tokens have another answer
 */
export async function proveTrimming(options: TrimProofOptions): Promise<TrimProof> {
  let same = 0
  const checkSame = (expected: Tensors, actual: Tensors): void => {
    refuseDifference(expected, actual)
    same++
  }
  return besideOriginal(options.trimmed, options, async (original, trimmed) => {
    await proveSame(original, trimmed, options, checkSame)
    const loss = await compared(original, trimmed, options, checkSame)
    return { loss, same }
  })
}

async function besideOriginal<Result>(
  onnx: Uint8Array,
  { original, signal }: TrimProofOptions,
  use: (original: Session, other: Session) => Promise<Result>,
): Promise<Result> {
  const first = await referenceSession(original, signal)
  try {
    const second = await referenceSession(onnx, signal)
    try {
      return await use(first, second)
    } finally {
      second.dispose()
    }
  } finally {
    first.dispose()
  }
}

/** Inputs that are made up, and other tokens that each gets in turn. */
const MADE_UP = 4
const ROUNDS = 4

type CheckSame = (expected: Tensors, actual: Tensors) => void

async function proveSame(
  original: Session,
  trimmed: Session,
  options: TrimProofOptions,
  checkSame: CheckSame,
): Promise<void> {
  const { kept, settings, signal } = options
  const found = await findSamples(options.trimmed, { count: MADE_UP, seed: 1, settings, signal }).catch((error) => {
    // A model that runs on nothing made up is compared on samples alone.
    if (isVergeError(error, 'run_rejected') || isOnnxError(error)) return []
    throw error
  })
  const next = uniform(1)
  // What is found may have the first few tokens alone, whose numbers are the old ones.
  const anyToken = (inputs: Tensors): Tensors => withNumbers(inputs, () => Math.floor(next() * kept.length))
  const tries = found.flatMap(({ inputs }) => [inputs, ...Array.from({ length: ROUNDS }, () => anyToken(inputs))])
  for (const inputs of tries) {
    const old = withNumbers(inputs, (number) => kept[number] ?? 0)
    const expected = await answerOf(original, old, signal).catch((error) => {
      // Some models take no text without a certain token.
      if (isVergeError(error, 'run_rejected')) return undefined
      throw error
    })
    if (expected !== undefined) checkSame(expected, await answerOf(trimmed, inputs, signal))
  }
}

/** Compares a model made of the trimmed one with the original, each on its own numbers. Nothing has to be the same. */
export function measureLoss(candidate: Uint8Array, options: TrimProofOptions): Promise<TrimLoss | undefined> {
  return besideOriginal(candidate, options, (original, session) =>
    compared(original, session, options, () => undefined),
  )
}

/** @param checkSame called with the answers to samples with the same tokens */
async function compared(
  original: Session,
  candidate: Session,
  { after, before, classes, kept, signal }: TrimProofOptions,
  checkSame: CheckSame,
): Promise<TrimLoss | undefined> {
  if (before.length === 0 || before.length !== after.length) return undefined
  const staying = new Set(kept)
  const labelled = before.every(({ label }) => label !== undefined)
  const metric = labelled ? 'accuracy' : classes === undefined ? 'cosine' : 'agreement'
  let [tokens, lost, unchanged, score, baseline] = [0, 0, 0, 0, 0]
  for (const [index, sample] of before.entries()) {
    signal.throwIfAborted()
    const other = after[index]
    if (other === undefined) continue
    const [old, now] = [numbersOf(sample.inputs), numbersOf(other.inputs)]
    tokens += old.length
    lost += old.filter((number) => !staying.has(number)).length
    const same = old.length === now.length && old.every((number, at) => number === kept[now[at] ?? -1])
    const expected = await answerOf(original, sample.inputs, signal)
    const actual = await answerOf(candidate, other.inputs, signal)
    if (same) {
      unchanged++
      checkSame(expected, actual)
    }
    const [top, topBefore] = [topClass(actual, classes), topClass(expected, classes)]
    baseline += metric !== 'accuracy' || topBefore === sample.label ? 1 : 0
    if (metric === 'cosine') score += cosineOfAnswers(expected, actual)
    else score += top === (metric === 'accuracy' ? sample.label : topBefore) ? 1 : 0
  }
  const samples = before.length
  return {
    samples,
    tokens,
    tokensKept: tokens === 0 ? 1 : 1 - lost / tokens,
    samplesUnchanged: unchanged / samples,
    metric,
    value: score / samples,
    baseline: baseline / samples,
  }
}

async function answerOf(session: Session, inputs: Tensors, signal: AbortSignal): Promise<Tensors> {
  return session.run(inputs, { outputs: tensorOutputs(session), signal })
}

function refuseDifference(expected: Tensors, actual: Tensors): void {
  for (const [name, { data }] of expected) {
    const other = actual.get(name)?.data
    const same = other?.length === data.length && data.every((value, at) => Object.is(value, other[at]))
    if (same) continue
    throw new OnnxError(
      'disagrees',
      `Output "${safeName(name)}" of the trimmed model differs from the original for the same tokens. The vocabulary of this model cannot be trimmed. Remove the options that trim it.`,
      { node: name },
    )
  }
}

/** Numbers of a sample's tokens. */
function numbersOf(inputs: Tensors): number[] {
  const tokens = inputs.get(TOKENS_INPUT)
  if (tokens === undefined || tokens.datatype === 'BYTES') return []
  return Array.from(tokens.data as ArrayLike<number | bigint>, Number)
}

/** A sample with other numbers for its tokens. */
export function withNumbers(inputs: Tensors, change: (number: number) => number): Tensors {
  const tokens = inputs.get(TOKENS_INPUT)
  if (tokens === undefined || (tokens.datatype !== 'INT64' && tokens.datatype !== 'INT32')) return inputs
  const numbers = numbersOf(inputs).map(change)
  const data = tokens.datatype === 'INT64' ? BigInt64Array.from(numbers, BigInt) : Int32Array.from(numbers)
  return new Map([...inputs, [TOKENS_INPUT, { ...tokens, data } as Tensor]])
}
