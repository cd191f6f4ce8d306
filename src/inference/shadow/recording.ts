import type { Place } from '../../catalog/manifest.ts'
import type { Limits } from '../../core/limits.ts'
import { bytesHeld, type Tensor, type Tensors } from '../../core/tensors.ts'
import { countedTokens } from '../../serving/ledger.ts'
import type { Generation, Runner, RunResult } from '../../serving/serving.ts'
import { TextRecorder, type WrittenText } from './texts.ts'

/** What a request's first run was, or its first text, as far as it takes to make it again with another version. */
export type Made = MadeRun | MadeText | { readonly kind: 'too_large' }

export interface MadeRun {
  readonly kind: 'run'
  readonly inputs: Tensors
  readonly wanted: readonly string[] | undefined
  readonly outputs: Tensors
  readonly place: Place
  readonly cost: number
  readonly ms: number
}

export interface MadeText {
  readonly kind: 'text'
  readonly text: WrittenText
  readonly place: Place
  readonly cost: number
}

/** Numbers of tokens, as JavaScript holds them. */
const TOKEN_BYTES = 8

/**
 * The same runner, which remembers what a request had it do first.
 * @param made is told once: after the run, or when the text has ended, whichever way
 */
export function recording(
  runner: Runner,
  limits: Pick<Limits, 'shadowBytes' | 'shadowTokens'>,
  made: (made: Made) => void,
): Runner {
  let taken = false
  return {
    ...(runner.place && { place: runner.place }),
    checkCost: (model, runs, context) => runner.checkCost(model, runs, context),
    prefetch: (model, context) => runner.prefetch(model, context),
    generate: async (model, prompt, options, context) => {
      if (taken) return runner.generate(model, prompt, options, context)
      taken = true
      if (prompt.length * TOKEN_BYTES > limits.shadowBytes) {
        made({ kind: 'too_large' })
        return runner.generate(model, prompt, options, context)
      }
      const recorder = new TextRecorder(prompt, options, limits.shadowTokens)
      const unitsBefore = context.ledger?.units ?? 0
      const generation = await runner.generate(model, prompt, recorder.options, context)
      const ended = (): void => {
        const { written } = recorder
        if (written === undefined) return
        const { place = 'edge' } = generation
        // What was paid for and not written is paid back by now. Of a part of a text, the price is not known.
        const cost = written.whole ? (context.ledger?.units ?? 0) - unitsBefore : 0
        made({ kind: 'text', text: written, place, cost })
      }
      return { ...generation, tokens: countedTokens(generation.tokens, () => {}, ended) } satisfies Generation
    },
    run: async (model, inputs, wanted, context) => {
      const { ledger } = context
      const before = ledger === undefined ? 0 : priceOf(ledger)
      const result = await runner.run(model, inputs, wanted, context)
      const cost = ledger === undefined ? 0 : priceOf(ledger) - before
      if (taken) return result
      taken = true
      const bytes = bytesHeld(inputs) + bytesHeld(result.outputs)
      made(bytes > limits.shadowBytes ? { kind: 'too_large' } : runMade(inputs, wanted, result, cost))
      return result
    },
  }
}

/** Of runs here and at origins. What is charged at an origin is no part of `cost`. */
function priceOf({ cost, originUnits }: { readonly cost: number; readonly originUnits: number }): number {
  return cost + originUnits
}

/** Copies: whoever asked for the run may go on to write into both. */
function runMade(inputs: Tensors, wanted: readonly string[] | undefined, result: RunResult, cost: number): MadeRun {
  const { outputs, place = 'edge', start, timings } = result
  return {
    kind: 'run',
    inputs: copied(inputs),
    wanted,
    outputs: copied(outputs),
    place,
    cost,
    ms: start === 'warm' ? timings.runMs : 0,
  }
}

function copied(tensors: Tensors): Tensors {
  return new Map([...tensors].map(([name, value]) => [name, { ...value, data: value.data.slice() } as Tensor]))
}
