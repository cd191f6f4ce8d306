import type * as z from 'zod'
import { throwIfAborted } from '../../core/errors.ts'
import { type Probes, probesAnswerSchema, type ReleaseBody, releaseBodySchema } from '../../protocols/verge/releases.ts'
import { reasonOf } from '../doctor/protocol.ts'
import { gist, type Visitor, type VisitorResponse } from '../doctor/visitor.ts'
import { UsageError } from '../terminal/command-line.ts'
import { printable } from '../terminal/format.ts'

export interface Trial {
  readonly generation: number
  readonly canary: string
  readonly stable: string
}

/** The model's canary and what it is compared with, as the Worker has them. @throws UsageError where nothing is on trial */
export async function trialOf(visitor: Visitor, model: string, signal: AbortSignal): Promise<Trial> {
  const answer = await visitor.ask(`/v1/releases/${model}`, { asOperator: true, signal }).catch((cause: unknown) => {
    throwIfAborted(signal)
    throw new UsageError(`No Worker answers at ${visitor.origin}. Name its address: --url URL`, { cause })
  })
  const { canary, generation, stopped }: ReleaseBody = read(releaseBodySchema, answer, visitor)
  if (canary !== null) return { generation, canary: canary.version, stable: canary.against }
  const why = stopped === null ? '' : `: canary ${stopped.version} was taken out (${printable(stopped.reason)})`
  throw new UsageError(
    `No version of model "${model}" is on trial${why}. Put one on trial: npx verge release ${model} VERSION=PERCENT`,
  )
}

type Verdict = z.infer<typeof probesAnswerSchema>['verdict']

/** Tells the Worker what was measured. A report that may have arrived is sent again unchanged, and counted once. */
export class PairReports {
  readonly #visitor: Visitor
  readonly #model: string
  readonly #trial: Pick<Trial, 'generation'>
  readonly #source: string
  #seq = 0
  #waiting: Probes['pairs'] = []
  #sent: Probes | undefined
  /** What became of the canary, as far as is known. */
  verdict: Verdict = 'continue'
  /** Why the last report did not arrive; undefined if it did. */
  fault: string | undefined

  /** @param source a name that no other probe has */
  constructor(visitor: Visitor, model: string, trial: Pick<Trial, 'generation'>, source: string) {
    this.#visitor = visitor
    this.#model = model
    this.#trial = trial
    this.#source = source
  }

  /** Pairs that the Worker may not have counted. */
  get unreported(): number {
    return (this.#sent?.pairs.length ?? 0) + this.#waiting.length
  }

  /** @returns whether the trial goes on @throws UsageError where the Worker refuses the report */
  async send(pairs: Probes['pairs']): Promise<boolean> {
    this.#waiting.push(...pairs)
    while (this.#sent !== undefined || this.#waiting.length > 0) {
      this.#sent ??= this.#next()
      if (!(await this.#arrives(this.#sent))) return true
      this.#sent = undefined
      if (this.verdict !== 'continue') return false
    }
    return true
  }

  #next(): Probes {
    const pairs = this.#waiting.splice(0, MOST_PAIRS)
    return { generation: this.#trial.generation, source: this.#source, seq: ++this.#seq, pairs }
  }

  async #arrives(probes: Probes): Promise<boolean> {
    let answer: VisitorResponse
    try {
      answer = await this.#visitor.ask(`/v1/releases/${this.#model}/probes`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(probes),
        asOperator: true,
      })
    } catch (error) {
      this.fault = `no answer (${reasonOf(error)})`
      return false
    }
    if (answer.status === 429 || answer.status >= 500) {
      this.fault = gist(answer)
      return false
    }
    this.fault = undefined
    this.verdict = read(probesAnswerSchema, answer, this.#visitor).verdict
    return true
  }
}

/** Of one report: fewer than a Worker takes at once (`probePairs`). */
const MOST_PAIRS = 500

function read<T>(schema: z.ZodType<T>, answer: VisitorResponse, { hasKey, origin }: Visitor): T {
  const parsed = answer.status === 200 ? schema.safeParse(answer.json) : undefined
  if (parsed?.success) return parsed.data
  if (answer.status === 401 || answer.status === 403) {
    const fix = hasKey ? "Set it to the operator's key of this Worker." : "Set VERGE_API_KEY to the operator's key."
    throw new UsageError(`The Worker at ${origin} does not take VERGE_API_KEY for the operator's key. ${fix}`)
  }
  if (answer.status === 404) throw new UsageError(`${origin} answers ${printable(gist(answer))}`)
  throw new UsageError(`${origin} does not answer as this version of Verge expects: ${printable(gist(answer))}`)
}
