/** One request to one version, as seen from here. */
export interface Measured {
  readonly ms: number
  /** Why it counts as failed; undefined if it was answered. */
  readonly failure?: string
}

/** Times of the same request to both versions, one right after the other. */
export interface Pair {
  readonly canaryMs: number
  readonly stableMs: number
}

export interface PairsOptions {
  /** Pairs to measure. */
  readonly count: number
  /** From the beginning of one pair to that of the next. */
  readonly everyMs: number
  readonly now: () => number
  readonly sleep: (ms: number) => Promise<void>
  /** Sends the request to the canary or to the stable version. */
  readonly ask: (side: 'canary' | 'stable') => Promise<Measured>
  /** Is given the pairs of a while, a few at a time. @returns false to end the measurement */
  readonly report: (pairs: readonly Pair[]) => Promise<boolean>
  /** Most pairs of one report, and the longest that one waits. */
  readonly reportPairs: number
  /** Raised by Ctrl-C: what was measured until then counts. */
  readonly signal: AbortSignal
  /** Is told after each pair. */
  readonly measured: () => void
}

export interface Outcome {
  readonly pairs: readonly Pair[]
  readonly failures: { readonly canary: readonly string[]; readonly stable: readonly string[] }
}

/**
 * Measures pair after pair. Which version comes first alternates, so that what follows a request favours neither. A pair of
 * which one request failed is not counted among the times. The first pair loads both versions where they are not loaded, and is left out.
 * Where the measurement is interrupted, the pairs until then are reported.
 */
export async function measurePairs(options: PairsOptions): Promise<Outcome> {
  const { ask, count, everyMs, measured, now, report, reportPairs, signal, sleep } = options
  const pairs: Pair[] = []
  const failures = { canary: [] as string[], stable: [] as string[] }
  let reported = 0
  const handOver = async (): Promise<boolean> => {
    const waiting = pairs.slice(reported)
    reported = pairs.length
    return waiting.length === 0 || report(waiting)
  }
  let goesOn = true
  try {
    for (let n = 0; goesOn && n <= count; n++) {
      const begun = now()
      const order = n % 2 === 0 ? (['canary', 'stable'] as const) : (['stable', 'canary'] as const)
      const took = { canary: Number.NaN, stable: Number.NaN }
      for (const side of order) {
        const { failure, ms } = await ask(side)
        if (failure === undefined) took[side] = ms
        else failures[side].push(failure)
      }
      const isComplete = took.canary > 0 && took.stable > 0
      if (n > 0 && isComplete) pairs.push({ canaryMs: took.canary, stableMs: took.stable })
      if (n > 0) measured()
      if (pairs.length - reported >= reportPairs) goesOn = await handOver()
      if (goesOn && n < count) await sleep(Math.max(0, begun + everyMs - now()))
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
  if (goesOn) await handOver()
  return { pairs, failures }
}
