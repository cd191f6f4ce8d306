import type * as z from 'zod'
import { type Probes, probesAnswerSchema, type ReleaseBody, releaseBodySchema } from '../../protocols/verge/releases.ts'
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
    throw new UsageError(`No Worker answers at ${visitor.origin}. Name its address: --url URL`, { cause })
  })
  const { canary, generation, stopped }: ReleaseBody = read(releaseBodySchema, answer, visitor)
  if (canary !== null) return { generation, canary: canary.version, stable: canary.against }
  const why = stopped === null ? '' : `: canary ${stopped.version} was taken out (${printable(stopped.reason)})`
  throw new UsageError(
    `No version of model "${model}" is on trial${why}. Put one on trial: npx verge release ${model} VERSION=PERCENT`,
  )
}

/** Tells the Worker what was measured. @returns what became of the canary */
export async function reportPairs(visitor: Visitor, model: string, probes: Probes, signal: AbortSignal) {
  const answer = await visitor.ask(`/v1/releases/${model}/probes`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(probes),
    asOperator: true,
    signal,
  })
  return read(probesAnswerSchema, answer, visitor).verdict
}

function read<T>(schema: z.ZodType<T>, answer: VisitorResponse, { hasKey, origin }: Visitor): T {
  const parsed = answer.status === 200 ? schema.safeParse(answer.json) : undefined
  if (parsed?.success) return parsed.data
  if (answer.status === 401 || answer.status === 403) {
    const fix = hasKey ? "Set it to the operator's key of this Worker." : "Set VERGE_API_KEY to the operator's key."
    throw new UsageError(`The Worker at ${origin} does not take VERGE_API_KEY for the operator's key. ${fix}`)
  }
  throw new UsageError(`${origin} does not answer as this version of Verge expects: ${printable(gist(answer))}`)
}
