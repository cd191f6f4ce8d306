import { invalid } from '../invalid.ts'
import { GATHER_PAGED, PLACE, partBytes, recordParts } from '../ops/gather-paged.ts'
import { roundUp } from '../ops/operator.ts'
import type { Plan, PlanConstant, PlanStep } from '../plan.ts'

/** Of a page's SHA-256 in the image. */
export const DIGEST_BYTES = 32

/** A step that looks rows up in a table of which most rows are in pages, as the plan says it. */
export interface PagedLookup {
  /** In the plan. */
  readonly step: number
  /** Of the plan's inputs: the one that has the ids. */
  readonly input: number
  /** Of the whole table. */
  readonly rows: number
  /** Rows in the image: those of the first places. */
  readonly hot: number
  readonly rowsPerPage: number
  /** Of a row in a page. */
  readonly recordBytes: number
  /** Where the table's pages begin in the pages file, and where they end. */
  readonly offset: number
  readonly end: number
  /** In the image: the place of each id, and the SHA-256 of each page. */
  readonly order: number
  readonly digests: number
}

/**
 * The steps of a plan that read pages, as far as the plan's own structure was checked. What the image holds is checked where
 * it is used.
 * @param mostPageBytes of a page, which is read, verified and kept whole
 * @throws model_invalid where numbers of a step do not fit together, or two tables share bytes of the pages file
 */
export function pagedLookups(plan: Plan, mostPageBytes: number): readonly PagedLookup[] {
  const lookups = plan.steps.flatMap((step, index) =>
    step.op === GATHER_PAGED ? [lookupOf(plan, step, index, mostPageBytes)] : [],
  )
  const inOrder = lookups.toSorted((one, other) => one.offset - other.offset || one.end - other.end)
  for (const [index, one] of inOrder.entries()) {
    const before = inOrder[index - 1]
    if (before !== undefined && one.offset < before.end && !isSameTable(one, before))
      throw invalid('two of its tables share bytes of the pages file')
  }
  return lookups
}

function lookupOf(plan: Plan, step: PlanStep, index: number, mostPageBytes: number): PagedLookup {
  const [order, digests] = [constantAt(plan, step, PLACE.order), constantAt(plan, step, PLACE.digests)]
  const ids = step.in[PLACE.ids]
  const input = ids && 'buffer' in ids ? plan.inputs.findIndex(({ buffer }) => buffer === ids.buffer) : -1
  if (input === -1) throw invalid('the ids of a table in pages are no input')
  const hot = constantAt(plan, step, PLACE.table).shape[0] ?? 0
  const [rows = 0] = order.shape
  if (order.shape.length !== 1 || rows < hot) throw invalid('a table in pages has another number of places than rows')
  const parts = recordParts(step.in, step.with?.scaled).map((place) => constantAt(plan, step, place))
  if (parts.some(({ shape }) => shape[0] !== hot)) throw invalid('a table in pages has other rows than scales')
  const recordBytes = recordLength(parts.map(({ dtype, shape }) => partBytes(dtype, shape)))
  const rowsPerPage = whole(step, 'rowsPerPage')
  const offset = whole(step, 'offset')
  if (rowsPerPage < 1 || rowsPerPage * recordBytes > mostPageBytes)
    throw invalid(`a page of ${rowsPerPage} rows is empty, or has more than ${mostPageBytes} bytes`)
  const pages = Math.ceil((rows - hot) / rowsPerPage)
  if (digests.shape.length !== 2 || digests.shape[0] !== pages || digests.shape[1] !== DIGEST_BYTES)
    throw invalid('a table in pages has another number of digests than pages')
  const end = offset + (rows - hot) * recordBytes
  if (!Number.isSafeInteger(end)) throw invalid('a table in pages has no place in the pages file')
  const places = { order: order.offset, digests: digests.offset }
  return { step: index, input, rows, hot, rowsPerPage, recordBytes, offset, end, ...places }
}

/** Bytes of a row in a page: its parts one after the other, filled up to a multiple of 4. */
export function recordLength(parts: readonly number[]): number {
  const bytes = parts.reduce((sum, part) => sum + part, 0)
  return roundUp(bytes, 4)
}

function constantAt({ constants }: Plan, step: PlanStep, place: number): PlanConstant {
  const operand = step.in[place]
  const constant = operand && 'constant' in operand ? constants[operand.constant] : undefined
  if (constant === undefined) throw invalid(`an operand of ${step.op} is no constant`)
  return constant
}

function whole(step: PlanStep, name: string): number {
  const value = step.with?.[name]
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw invalid(`"${name}" of ${step.op} is no whole number`)
  return value
}

/** Two inputs may look up in one table. */
function isSameTable(one: PagedLookup, other: PagedLookup): boolean {
  const keys = ['rows', 'hot', 'rowsPerPage', 'recordBytes', 'offset', 'digests'] as const
  return keys.every((key) => one[key] === other[key])
}
