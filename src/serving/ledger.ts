import type { Place } from '../catalog/manifest.ts'
import type { ErrorCode } from '../core/errors.ts'
import { isVergeError } from '../core/errors.ts'

/** Whether a request's runs were answered from the result cache; `bypass`: it was not asked. */
export type CacheOutcome = 'hit' | 'miss' | 'bypass'

/** What a request's caller may still spend: asked before each run. Where a method returns undefined, there is nothing to wait for. */
export interface RunPermit {
  /** @throws budget_spent, limits_unavailable */
  spend(units: number): Promise<void> | undefined
  /** Reserves tokens before they are read and written. @throws budget_spent, limits_unavailable */
  tokens(input: number, output: number): Promise<void> | undefined
  /** What is left of the caller's rates and budgets, for headers; undefined where there are none. */
  readonly state: readonly LimitState[] | undefined
  /** Little is left of a budget. */
  readonly low: boolean
  /** Gives back what was spent or reserved, and not used. */
  refund(amounts: { readonly units?: number; readonly tokens?: number }): void
}

/** What is left of one rate or budget. */
export interface LimitState {
  readonly name: string
  readonly quota: number
  readonly unit: string
  /** Length of the window. */
  readonly seconds: number
  readonly remaining: number
  /** Seconds until the next window begins. */
  readonly reset: number
}

/** What a caller's plan allows one request. */
export interface RequestBounds {
  readonly bodyBytes?: number | undefined
  /** Inputs in one request. */
  readonly batch?: number | undefined
  /** Tokens of an answer. */
  readonly maxTokens?: number | undefined
  /** The smallest artifact of the place answers, because little is left of a budget. */
  readonly smallest?: boolean | undefined
}

/** Whether weights were in memory; `cached`: the model was not run, the result cache had the outputs. */
export type Start = 'warm' | 'cold' | 'cached'

/** Milliseconds by this isolate's clock, which stands still during pure CPU work in production. */
export interface RunTimings {
  readonly loadMs: number
  readonly queueMs: number
  readonly runMs: number
}

/** How a request is answered, as far as known: written by the code that answers, read by headers, logs and limits. */
export interface RunLedger {
  /** Price of all its runs, in a manifest's units. */
  cost: number
  /** Of these, what was charged: a result from the cache costs nothing. */
  units: number
  /** Tokens that the model read. */
  inputTokens: number
  /** Tokens of inputs that the result cache answered: they cost nothing. */
  cachedTokens: number
  /** Tokens that the model wrote. */
  outputTokens: number
  /** Of the units, those that origins spent. */
  originUnits: number
  /** Milliseconds that origins worked. */
  originMs: number
  /** Dollars for that time, as far as its price is known. */
  originUsd: number
  cache: CacheOutcome | undefined
  /** How often the result cache was asked. */
  lookups: number
  /** The version that answers, as `name@version`, as soon as it is known. */
  model?: string
  /** Of the alias that the version is from. */
  generation?: number
  /** The caller named the version. */
  named?: true
  /** How long the request takes is up to its caller, too: it set a shorter deadline, or its body or answer is passed on as it comes. */
  paced?: true
  /** Milliseconds until an origin began to answer, where its answer is passed on. */
  originFirstMs?: number
  /** Where it ran last, or was to run when it failed; left out: nowhere yet. */
  place?: Place
  /** The origin's name, where one answered. */
  origin?: string
  /** The status of that origin's answer, where the request was passed on as it was. */
  originStatus?: number
  /** The slowest start of its runs: `cached` only if all of them were answered by the result cache. */
  start?: Start
  /** Its runs here together; left out where none was timed. */
  timings?: RunTimings
  /** Absent where nothing is limited. */
  permit?: RunPermit
  bounds?: RequestBounds
}

export function openLedger(): RunLedger {
  return {
    cost: 0,
    units: 0,
    inputTokens: 0,
    cachedTokens: 0,
    outputTokens: 0,
    originUnits: 0,
    originMs: 0,
    originUsd: 0,
    cache: undefined,
    lookups: 0,
  }
}

/** Says where a request is run, before it is. What runs elsewhere after a failure says so again. */
export function notePlace(ledger: RunLedger | undefined, place: Place, origin?: string): void {
  if (ledger === undefined) return
  ledger.place = place
  if (origin === undefined) delete ledger.origin
  else ledger.origin = origin
}

const SLOWEST_FIRST = ['cold', 'warm', 'cached'] as const

/** Says how one of a request's runs went. A text that is written token by token has no timings. */
export function noteRun(ledger: RunLedger | undefined, start: Start, timings?: RunTimings): void {
  if (ledger === undefined) return
  ledger.start = SLOWEST_FIRST.find((candidate) => candidate === start || candidate === ledger.start) ?? start
  if (timings === undefined) return
  const { loadMs, queueMs, runMs } = ledger.timings ?? NO_TIME
  ledger.timings = {
    loadMs: loadMs + timings.loadMs,
    queueMs: queueMs + timings.queueMs,
    runMs: runMs + timings.runMs,
  }
}

const NO_TIME: RunTimings = { loadMs: 0, queueMs: 0, runMs: 0 }

/** The most bytes of a body: the server's limit, or that of the caller's plan where it is smaller. */
export function mostBodyBytes(bounds: RequestBounds | undefined, most: number): number {
  return Math.min(most, bounds?.bodyBytes ?? most)
}

/** Failures by which nothing was computed for the caller. Whoever leaves while a run is made has had it made. */
const NOT_RUN: ReadonlySet<ErrorCode> = new Set([
  'cost_too_high',
  'engine_full',
  'engine_unsupported',
  'integer_too_large',
  'manifest_invalid',
  'model_invalid',
  'model_too_large',
  'origin_failed',
  'origin_unavailable',
  'overloaded',
  'run_too_large',
  'session_lost',
  'store_unavailable',
  'weights_corrupt',
  'weights_unavailable',
])

/**
 * Makes a run that is paid for before it begins. What was not computed is paid back, so that another place may be asked
 * for the same run and it is paid for once.
 * @throws budget_spent, limits_unavailable, and what the run throws
 */
export async function charged<T>(ledger: RunLedger | undefined, units: number, run: () => Promise<T>): Promise<T> {
  if (ledger === undefined) return run()
  const paid = ledger.permit?.spend(units)
  if (paid !== undefined) await paid
  ledger.units += units
  try {
    return await run()
  } catch (error) {
    if (isVergeError(error) && NOT_RUN.has(error.code)) payBack(ledger, { units })
    throw error
  }
}

function payBack(ledger: RunLedger, amounts: { readonly units: number; readonly tokens?: number }): void {
  ledger.units -= amounts.units
  ledger.permit?.refund(amounts)
}

/** A text that is about to be written. */
export interface TextCharge {
  /** Tokens of the prompt. */
  readonly prompt: number
  /** The most that may be written. */
  readonly most: number
  /** Price of the prompt and all that may be written. */
  readonly units: number
  /** Of it, for each token of the answer. */
  readonly perToken: number
}

/**
 * Begins a text that is paid for as if it were written to its greatest length. What is not written is paid back when the
 * tokens end, whichever way they do. A request that is killed gets nothing back.
 * @throws budget_spent, limits_unavailable, and what the work throws
 */
export async function chargedText<T extends { readonly tokens: AsyncIterableIterator<number> }>(
  ledger: RunLedger | undefined,
  { most, perToken, prompt, units }: TextCharge,
  begin: () => Promise<T>,
): Promise<T> {
  if (ledger === undefined) return begin()
  const reserved = ledger.permit?.tokens(prompt, most)
  if (reserved !== undefined) await reserved
  try {
    const begun = await charged(ledger, units, begin)
    ledger.inputTokens += prompt
    const settle = (written: number): void => {
      const unwritten = Math.max(0, most - written)
      payBack(ledger, { units: Math.min(units, perToken * unwritten), tokens: unwritten })
    }
    return { ...begun, tokens: countedTokens(begun.tokens, () => ledger.outputTokens++, settle) }
  } catch (error) {
    ledger.permit?.refund({ tokens: prompt + most })
    throw error
  }
}

/**
 * The same tokens; each is told of before it is read.
 * @param ended is told once how many there were
 */
export function countedTokens(
  tokens: AsyncIterableIterator<number>,
  count: () => void,
  ended: (count: number) => void = () => {},
): AsyncIterableIterator<number> {
  let written = 0
  let open = true
  const end = (): void => {
    if (open) ended(written)
    open = false
  }
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      try {
        const step = await tokens.next()
        if (step.done) end()
        else {
          written++
          count()
        }
        return step
      } catch (error) {
        end()
        throw error
      }
    },
    async return(value?: unknown) {
      try {
        return (await tokens.return?.(value)) ?? { done: true, value: undefined }
      } finally {
        end()
      }
    },
  }
}
