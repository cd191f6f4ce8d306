import { type OperationsBody, operationsBodySchema } from '../../protocols/verge/operations.ts'
import { codeOf, gist, type Visitor, type VisitorResponse } from '../doctor/visitor.ts'
import { UsageError } from '../terminal/command-line.ts'
import { printable } from '../terminal/format.ts'

const PATH = '/v1/operations'
/** A hundred models with their versions and twenty changes are 200 KB at most. */
const ANSWER_BYTES = 1024 * 1024

/** Asks a Worker for its operations. @throws UsageError that says what to do */
export async function askOperations(visitor: Visitor, signal: AbortSignal): Promise<OperationsBody> {
  const answer = await asked(visitor, signal)
  if (answer.status !== 200) throw refusal(visitor, answer)
  const parsed = operationsBodySchema.safeParse(answer.json)
  if (parsed.success) return parsed.data
  throw new UsageError(
    `The answer of ${visitor.origin}${PATH} has another form than this version of Verge knows. Use the version of the Worker, or deploy this one.`,
  )
}

async function asked(visitor: Visitor, signal: AbortSignal): Promise<VisitorResponse> {
  try {
    return await visitor.ask(PATH, { asOperator: true, mostBytes: ANSWER_BYTES, signal })
  } catch (cause) {
    throw new UsageError(
      `No Worker answers at ${visitor.origin}. Start one (npm start), or name its address: --url URL`,
      { cause },
    )
  }
}

function refusal(visitor: Visitor, answer: VisitorResponse): UsageError {
  const { origin } = visitor
  const code = codeOf(answer)
  if (answer.status === 401) {
    return new UsageError(
      visitor.hasKey
        ? `The Worker at ${origin} does not know the key in VERGE_API_KEY. Set it to the operator's key of this Worker.`
        : `The Worker at ${origin} tells the operator alone. Set VERGE_API_KEY to the operator's key.`,
    )
  }
  if (answer.status === 403) {
    return new UsageError(
      `The key in VERGE_API_KEY may not see operations. Use the operator's key, or one with "metrics" for all models.`,
    )
  }
  if (answer.status === 404 || code === 'not_implemented') {
    return new UsageError(
      `${origin} has no ${PATH}: it is an origin, or an older version of Verge. Name the Worker: --url URL`,
    )
  }
  return new UsageError(`${origin} does not answer: ${printable(gist(answer))}`)
}
