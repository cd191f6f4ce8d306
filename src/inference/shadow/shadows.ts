import type { Alias } from '../../catalog/alias.ts'
import type { Canary } from '../../catalog/canary.ts'
import type { Place } from '../../catalog/manifest.ts'
import { type ErrorCode, isVergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Clock } from '../../core/runtime.ts'
import { isWithin, type Span } from '../../core/span.ts'
import { bytesHeld, type Tensor, type Tensors } from '../../core/tensors.ts'
import type { Placement } from '../../placement/placement.ts'
import { openLedger } from '../../serving/ledger.ts'
import type { Models, ResolvedModel, Runner, RunResult } from '../../serving/serving.ts'
import type { CallContext } from '../call.ts'
import { isSlowStore } from '../observed.ts'
import { type Agreement, compareOutputs, meaningOf } from './compare.ts'

/** What has become of one comparison. */
export interface ShadowOutcome {
  /** `failed`: the version that was asked behind the answer gave none. */
  readonly kind: 'compared' | 'failed' | 'skipped'
  /** Whether the canary was the one behind the answer. */
  readonly canaryBehind: boolean
  readonly code?: ErrorCode
  readonly agreement?: Agreement
  /** Cost units of the canary, over those of the stable version. */
  readonly costRatio?: number
  /** The same of the time that an origin took. In production an isolate cannot time its own runs. */
  readonly timeRatio?: number
}

/** Is told of requests to models with a canary. */
export interface ShadowWatch {
  /** A request was resolved to one of the model's versions. Models without a canary are told of, too: a trial may have ended. */
  seen(alias: Alias): void
  compared(alias: Alias, outcome: ShadowOutcome, waitUntil: (work: Promise<unknown>) => void): void
}

/** Whether there is room for runs that nobody waits for. */
export interface SpareRoom {
  /** As much work has been taken on as callers would wait for. */
  readonly busy: boolean
  /** Whether a model's session is loaded, or can be without another one's leaving. */
  fitsBeside(model: ResolvedModel): boolean
}

export interface ShadowsOptions {
  readonly serving: Models & Runner & SpareRoom
  readonly placement: Placement | undefined
  readonly watch: ShadowWatch
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly limits: Pick<Limits, 'shadowBytes' | 'shadowElements' | 'shadowMs' | 'shadowsAtOnce'>
}

/** A run of a request that is to be repeated with the other version. */
interface Made {
  readonly inputs: Tensors
  readonly wanted: readonly string[] | undefined
  readonly outputs: Tensors
  readonly place: Place
  readonly cost: number
  readonly ms: number
}

/** A request that may be compared. */
export interface ShadowedRequest {
  /** The same runner, which remembers what the first run was given and has answered. */
  around(runner: Runner): Runner
  /** The request has been answered: now it may be repeated. */
  answered(): void
}

/**
 * Repeats a share of the requests to a model with a canary: what the stable version has answered with the canary, and the
 * other way round, with the same tensors and at the same place. It begins when the request has been answered, is charged to
 * nobody, and gives way to other work. Of a request with several runs the first is repeated. Texts that are written, and
 * requests that an origin is given whole, are not.
 */
export class Shadows {
  readonly #options: ShadowsOptions
  /** Comparisons under way. One whose request was killed ends by its time. */
  #underWay: Span[] = []

  constructor(options: ShadowsOptions) {
    this.#options = options
  }

  /** @returns undefined where nothing of the request is compared */
  begin({ alias, manifest }: ResolvedModel, context: CallContext): ShadowedRequest | undefined {
    const { canary } = alias
    const { random, watch } = this.#options
    watch.seen(alias)
    if (canary === undefined) return undefined
    const { version } = manifest
    const other = version === canary.version ? canary.against : version === canary.against ? canary.version : undefined
    if (other === undefined || canary.shadow === undefined || random() >= canary.shadow) return undefined
    let made: Made | 'too_large' | undefined
    return {
      around: (runner) =>
        remembering(runner, this.#options.limits.shadowBytes, (run) => {
          made ??= run()
        }),
      answered: () => {
        const first = made
        if (first !== undefined) context.waitUntil(this.#repeat({ alias, canary, other, first }, context))
      },
    }
  }

  async #repeat(
    { alias, canary, first, other }: Repetition & { readonly first: Made | 'too_large' },
    context: CallContext,
  ): Promise<void> {
    const { clock, watch } = this.#options
    // The answer goes first: a run blocks the event loop.
    await clock.sleep(0)
    const canaryBehind = other === canary.version
    const outcome =
      first === 'too_large'
        ? { kind: 'skipped' as const }
        : await this.#inTurn(() => this.#compared({ alias, canary, other }, first, context))
    watch.compared(alias, { canaryBehind, ...outcome }, (work) => context.waitUntil(work))
  }

  async #inTurn(compare: () => Promise<Outcome>): Promise<Outcome> {
    const { clock, limits } = this.#options
    const now = clock.now()
    this.#underWay = this.#underWay.filter((span) => isWithin(span, now))
    if (this.#underWay.length >= limits.shadowsAtOnce) return { kind: 'skipped' }
    const span: Span = { at: now, ms: limits.shadowMs }
    this.#underWay.push(span)
    try {
      return await compare()
    } finally {
      this.#underWay = this.#underWay.filter((each) => each !== span)
    }
  }

  async #compared({ alias, other }: Repetition, first: Made, context: CallContext): Promise<Outcome> {
    const { clock, limits, placement, serving } = this.#options
    const controller = new AbortController()
    const callOff = clock.after(limits.shadowMs, () => controller.abort())
    const { signal } = controller
    // Nothing of the request but its id: neither its caller's account, nor its deadline, nor its results in the cache.
    const { requestId, runsBefore } = context
    const ledger = openLedger()
    const place = first.place === 'origin' ? 'origin' : 'edge'
    const own: CallContext = {
      requestId,
      runsBefore,
      signal,
      deadline: clock.now() + limits.shadowMs,
      waitUntil: (work) => context.waitUntil(work),
      ledger,
      placement: { ...context.placement, hint: place },
    }
    try {
      const model = await serving.resolve(alias, other, own)
      if (place === 'edge' && (serving.busy || !serving.fitsBeside(model))) return { kind: 'skipped' }
      const facts = { route: 'own', full: false, tensorsAlone: true } as const
      const runner = placement === undefined ? serving : await placement.route(model, facts, own)
      const result = await runner.run(model, first.inputs, first.wanted, own)
      // Elsewhere the same version answers differently.
      if ((result.place ?? 'edge') !== first.place) return { kind: 'skipped' }
      const meaning = meaningOf(model.manifest.task)
      const agreement = compareOutputs(first.outputs, result.outputs, meaning, limits.shadowElements)
      const isCanary = other === alias.canary?.version
      const costRatio = ratio(ledger.cost || ledger.originUnits, first.cost, isCanary)
      const timeRatio = place === 'origin' ? ratio(result.timings.runMs, first.ms, isCanary) : undefined
      return {
        kind: 'compared',
        agreement,
        ...(costRatio !== undefined && { costRatio }),
        ...(timeRatio !== undefined && { timeRatio }),
      }
    } catch (error) {
      if (signal.aborted || isSlowStore(error)) return { kind: 'skipped' }
      return { kind: 'failed', code: isVergeError(error) ? error.code : 'internal' }
    } finally {
      callOff()
    }
  }
}

interface Repetition {
  readonly alias: Alias
  readonly canary: Canary
  /** The version that did not answer. */
  readonly other: string
}

type Outcome = Omit<ShadowOutcome, 'canaryBehind'>

/** The canary's over the stable version's; undefined where one is not known. */
function ratio(behind: number, answered: number, canaryBehind: boolean): number | undefined {
  if (behind <= 0 || answered <= 0) return undefined
  return canaryBehind ? behind / answered : answered / behind
}

/**
 * The same runner.
 * @param most bytes that are remembered of a run
 * @param made takes what a run was, and has it copied where it wants it
 */
function remembering(runner: Runner, most: number, made: (run: () => Made | 'too_large') => void): Runner {
  return {
    ...(runner.place && { place: runner.place }),
    checkCost: (model, runs, context) => runner.checkCost(model, runs, context),
    prefetch: (model, context) => runner.prefetch(model, context),
    generate: (model, prompt, options, context) => runner.generate(model, prompt, options, context),
    run: async (model, inputs, wanted, context) => {
      const { ledger } = context
      const before = ledger === undefined ? 0 : priceOf(ledger)
      const result = await runner.run(model, inputs, wanted, context)
      const cost = ledger === undefined ? 0 : priceOf(ledger) - before
      const bytes = bytesHeld(inputs) + bytesHeld(result.outputs)
      made(() => (bytes > most ? 'too_large' : runMade(inputs, wanted, result, cost)))
      return result
    },
  }
}

/** Of runs here and at origins. What is charged at an origin is no part of `cost`. */
function priceOf({ cost, originUnits }: { readonly cost: number; readonly originUnits: number }): number {
  return cost + originUnits
}

/** Copies: whoever asked for the run may go on to write into both. */
function runMade(inputs: Tensors, wanted: readonly string[] | undefined, result: RunResult, cost: number): Made {
  const { outputs, place = 'edge', start, timings } = result
  return {
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
