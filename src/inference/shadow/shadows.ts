import type { Alias } from '../../catalog/alias.ts'
import type { Canary } from '../../catalog/canary.ts'
import type { Manifest } from '../../catalog/manifest.ts'
import { type ErrorCode, isVergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import type { Clock } from '../../core/runtime.ts'
import { isWithin, type Span } from '../../core/span.ts'
import { hasSameTokens } from '../../generate/same-tokens.ts'
import type { Placement } from '../../placement/placement.ts'
import { openLedger, type RunLedger } from '../../serving/ledger.ts'
import type { Models, ResolvedModel, Runner } from '../../serving/serving.ts'
import type { CallContext } from '../call.ts'
import { isSlowStore } from '../observed.ts'
import { type Agreement, compareOutputs, meaningOf } from './compare.ts'
import { type Made, type MadeRun, type MadeText, recording } from './recording.ts'
import { retraced } from './texts.ts'

/** What has become of one comparison. */
export interface ShadowOutcome {
  /**
   * `failed`: the version that was asked behind the answer gave none. `skipped`: there was other work, or no room.
   * `incomparable`: requests of this kind never are.
   */
  readonly kind: 'compared' | 'failed' | 'skipped' | 'incomparable'
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
  readonly limits: Pick<Limits, 'shadowBytes' | 'shadowElements' | 'shadowMs' | 'shadowTokens' | 'shadowsAtOnce'>
}

/** A request that may be compared. */
export interface ShadowedRequest {
  /** The same runner, which remembers what the first run was given and has answered. */
  around(runner: Runner): Runner
  /** The request has been answered, but for a text that is still being written: now it may be repeated. */
  answered(): void
  /** An origin has answered the request whole: nothing of it is at hand. */
  forwarded(): void
}

/**
 * Repeats a share of the requests to a model with a canary: what the stable version has answered with the canary, and the
 * other way round, with the same tensors and at the same place. It begins when the request has been answered, is charged to
 * nobody, and gives way to other work. Of a request with several runs or texts the first is repeated; of a text, the other
 * version goes over the beginning. Requests that an origin is given whole are not: their bodies and answers stream through.
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
    let first: Made | undefined
    let isAnswered = false
    const repeat = (): void => {
      if (!isAnswered || first === undefined) return
      context.waitUntil(this.#repeat({ alias, manifest, canary, other }, first, context))
    }
    return {
      around: (runner) =>
        recording(runner, this.#options.limits, (made) => {
          first = made
          repeat()
        }),
      answered() {
        isAnswered = true
        repeat()
      },
      forwarded: () => {
        const outcome = { kind: 'incomparable', canaryBehind: other === canary.version } as const
        watch.compared(alias, outcome, (work) => context.waitUntil(work))
      },
    }
  }

  async #repeat(repetition: Repetition, first: Made, context: CallContext): Promise<void> {
    const { clock, watch } = this.#options
    const { alias, canary, other } = repetition
    // The answer goes first: a run blocks the event loop.
    await clock.sleep(0)
    const canaryBehind = other === canary.version
    const outcome: Outcome =
      first.kind === 'too_large'
        ? { kind: 'skipped' }
        : await this.#inTurn(() => this.#compared(repetition, first, context))
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

  async #compared(repetition: Repetition, first: MadeRun | MadeText, context: CallContext): Promise<Outcome> {
    const { clock, limits, serving } = this.#options
    const controller = new AbortController()
    const callOff = clock.after(limits.shadowMs, () => controller.abort())
    const { signal } = controller
    // Nothing of the request but its id: neither its caller's account, nor its deadline, nor its results in the cache.
    const { requestId, runsBefore } = context
    const place = first.place === 'origin' ? 'origin' : 'edge'
    const own = {
      requestId,
      runsBefore,
      signal,
      deadline: clock.now() + limits.shadowMs,
      waitUntil: (work: Promise<unknown>) => context.waitUntil(work),
      ledger: openLedger(),
      placement: { ...context.placement, hint: place },
    } as const satisfies CallContext
    try {
      const model = await serving.resolve(repetition.alias, repetition.other, own)
      if (place === 'edge' && (serving.busy || !serving.fitsBeside(model))) return { kind: 'skipped' }
      return await (first.kind === 'run'
        ? this.#comparedRun(repetition, model, first, own)
        : this.#comparedText(repetition, model, first, own))
    } catch (error) {
      if (signal.aborted || isSlowStore(error)) return { kind: 'skipped' }
      return { kind: 'failed', code: isVergeError(error) ? error.code : 'internal' }
    } finally {
      callOff()
    }
  }

  async #comparedRun(
    { canary, other }: Repetition,
    model: ResolvedModel,
    first: MadeRun,
    own: OwnContext,
  ): Promise<Outcome> {
    const { limits, placement, serving } = this.#options
    const { ledger } = own
    const facts = { route: 'own', full: false, tensorsAlone: true } as const
    const runner = placement === undefined ? serving : await placement.route(model, facts, own)
    const result = await runner.run(model, first.inputs, first.wanted, own)
    // Elsewhere the same version answers differently.
    if ((result.place ?? 'edge') !== first.place) return { kind: 'skipped' }
    const meaning = meaningOf(model.manifest.task)
    const agreement = compareOutputs(first.outputs, result.outputs, meaning, limits.shadowElements)
    const isCanary = other === canary.version
    const costRatio = ratio(ledger.cost || ledger.originUnits, first.cost, isCanary)
    const timeRatio = first.place === 'origin' ? ratio(result.timings.runMs, first.ms, isCanary) : undefined
    return {
      kind: 'compared',
      agreement,
      ...(costRatio !== undefined && { costRatio }),
      ...(timeRatio !== undefined && { timeRatio }),
    }
  }

  async #comparedText(
    { canary, manifest, other }: Repetition,
    model: ResolvedModel,
    { cost, place, text }: MadeText,
    own: OwnContext,
  ): Promise<Outcome> {
    const { serving } = this.#options
    const { contextLength = Number.POSITIVE_INFINITY } = model.manifest.generation ?? {}
    const fits = text.prompt.length + text.places.length <= contextLength
    // Of another tokenizer the same numbers are other words.
    if (place !== 'edge' || !fits || !hasSameTokens(manifest, model.manifest)) return { kind: 'incomparable' }
    const agreement = await retraced(text, {
      generate: (prompt, options) => serving.generate(model, prompt, options, own),
      givesWay: () => serving.busy,
      signal: own.signal,
    })
    if (agreement === undefined) return { kind: 'skipped' }
    const costRatio = ratio(own.ledger.units, cost, other === canary.version)
    return { kind: 'compared', agreement, ...(costRatio !== undefined && { costRatio }) }
  }
}

/** Of a run that no caller waits for. */
type OwnContext = CallContext & { readonly ledger: RunLedger }

interface Repetition {
  readonly alias: Alias
  /** Of the version that answered. */
  readonly manifest: Manifest
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
