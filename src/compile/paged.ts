import { concatBytes } from '../core/bytes.ts'
import { GATHER_PAGED, OWN, PLACE, partBytes, recordParts } from '../engine/verge/ops/gather-paged.ts'
import { DIGEST_BYTES, recordLength } from '../engine/verge/pages/lookup.ts'
import type { Operand, Plan, PlanConstant, PlanStep } from '../engine/verge/plan.ts'
import { Image } from './image.ts'

/** A table that a model only looks rows up in, by ids that are an input. */
export interface LookedUpTable {
  /** The node that looks up in it; empty where it has no name. */
  readonly node: string
  /** The input that has the ids. */
  readonly input: string
  readonly rows: number
  /** Elements of a row. */
  readonly width: number
  /** Of a row in a page, scales of its own included. */
  readonly rowBytes: number
}

/** How a table is stored. */
export interface Paging {
  /** All ids, in the order of their places: hot ones first, then page after page. */
  readonly order: Int32Array
  /** Rows that stay in the artifact. */
  readonly hot: number
  readonly rowsPerPage: number
}

/** Says how a table is stored; undefined for one that stays in the artifact whole. */
export type PageTable = (table: LookedUpTable) => Paging | undefined

export interface PagedTable extends LookedUpTable {
  readonly hot: number
  readonly rowsPerPage: number
  /** Where its pages begin in the pages file. */
  readonly offset: number
  /** Of a page; the last one of a table may have fewer. */
  readonly pageBytes: number
  readonly pages: number
}

/** Pages of all tables, one after the other. */
export interface PagesFile {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly tables: readonly PagedTable[]
}

export interface PagedPlan {
  readonly plan: Plan
  readonly image: Image
  readonly pages?: PagesFile
}

/**
 * Takes rows out of an image into pages, as `page` says for each table. Tables stay whole whose ids are computed, which are
 * read by anything else, or whose model has a product of their size: the output table of a decoder, which would wait for the
 * stores at each token.
 */
export async function pageTables(plan: Plan, image: Image, page: PageTable): Promise<PagedPlan> {
  const steps = [...plan.steps]
  const files: Uint8Array[] = []
  const tables: PagedTable[] = []
  let offset = 0
  for (const lookup of lookupsOf(plan)) {
    const paging = page(lookup.table)
    if (paging === undefined) continue
    const { table } = lookup
    const split = splitTable(lookup, image, paging)
    const digests = await digestsOf(split.pages, paging.rowsPerPage * table.rowBytes)
    const own: readonly Operand[] = [
      { constant: image.add('i32', 'rows', [table.rows], placesOf(paging.order)) },
      { constant: image.add('u8', 'rows', [digests.length / DIGEST_BYTES, DIGEST_BYTES], digests) },
    ]
    const { hot, rowsPerPage } = paging
    for (const index of lookup.steps) {
      const step = steps[index] as PlanStep
      const reads = step.in.map((operand, place) => split.hot.get(place + OWN) ?? operand)
      steps[index] = { ...step, op: GATHER_PAGED, in: [...own, ...reads], with: { ...step.with, rowsPerPage, offset } }
    }
    const pageBytes = rowsPerPage * table.rowBytes
    tables.push({ ...table, hot, rowsPerPage, offset, pageBytes, pages: digests.length / DIGEST_BYTES })
    files.push(split.pages)
    offset += split.pages.length
  }
  if (tables.length === 0) return { plan, image }
  return { ...withConstantsOf({ ...plan, steps }, image), pages: { bytes: concatBytes(files), tables } }
}

/** Steps that look up in one table. */
interface Lookup {
  readonly table: LookedUpTable
  readonly steps: readonly number[]
  /** Places of operands, as `gather-paged` has them, whose rows make a record, with their constants. */
  readonly parts: ReadonlyMap<number, number>
}

function lookupsOf(plan: Plan): Lookup[] {
  const lookups = new Map<number, Lookup | undefined>()
  for (const [index, step] of plan.steps.entries()) {
    const lookup = lookupOf(plan, step, index)
    for (const [place, operand] of step.in.entries()) {
      if (operand === null || !('constant' in operand)) continue
      const { constant } = operand
      if (place !== 0 || lookup === undefined) lookups.set(constant, undefined)
      else if (!lookups.has(constant)) lookups.set(constant, lookup)
      else lookups.set(constant, together(lookups.get(constant), lookup))
    }
  }
  return [...lookups.values()].flatMap((lookup) => lookup ?? [])
}

function lookupOf(plan: Plan, step: PlanStep, index: number): Lookup | undefined {
  if (step.op !== 'gather-rows') return undefined
  const operands: readonly Operand[] = [null, null, ...step.in]
  const [read, ids] = [operands[PLACE.table], operands[PLACE.ids]]
  const input = ids && 'buffer' in ids ? plan.inputs.find(({ buffer }) => buffer === ids.buffer) : undefined
  const constant = read && 'constant' in read ? plan.constants[read.constant] : undefined
  if (input === undefined || constant === undefined) return undefined
  const [rows = 0, width = 0] = constant.shape
  if (rows === 0 || isInProduct(plan, rows, width)) return undefined
  const parts = new Map<number, number>()
  for (const place of recordParts(operands, step.with?.scaled)) {
    const operand = operands[place]
    if (operand && 'constant' in operand) parts.set(place, operand.constant)
  }
  const bytes = [...parts.values()].map((part) => {
    const { dtype, shape } = plan.constants[part] as PlanConstant
    return partBytes(dtype, shape)
  })
  const table = { node: step.from ?? '', input: input.name, rows, width, rowBytes: recordLength(bytes) }
  return { table, steps: [index], parts }
}

/** Steps that read the same constants are of one table; others share it, and it stays whole. */
function together(one: Lookup | undefined, other: Lookup): Lookup | undefined {
  if (one === undefined || [...one.parts].join() !== [...other.parts].join()) return undefined
  return { ...one, steps: [...one.steps, ...other.steps] }
}

/** Whether another step has a weight of that size, as it is or transposed. */
function isInProduct({ constants, steps }: Plan, rows: number, width: number): boolean {
  return steps.some(({ op, in: reads }) =>
    reads.some((operand) => {
      if (op.startsWith('gather') || operand === null || !('constant' in operand)) return false
      const { shape } = constants[operand.constant] as PlanConstant
      const [first, second] = shape
      return shape.length === 2 && ((first === width && second === rows) || (first === rows && second === width))
    }),
  )
}

interface SplitTable {
  /** Operands with the hot rows, by their places. */
  readonly hot: ReadonlyMap<number, Operand>
  readonly pages: Uint8Array<ArrayBuffer>
}

function splitTable({ table, parts }: Lookup, image: Image, { order, hot, rowsPerPage }: Paging): SplitTable {
  checkPaging(table, { order, hot, rowsPerPage })
  const pages = new Uint8Array((table.rows - hot) * table.rowBytes)
  const operands = new Map<number, Operand>()
  let at = 0
  for (const [place, constant] of parts) {
    const { dtype, shape } = image.constants[constant] as PlanConstant
    const [data, bytes] = [image.part(constant), partBytes(dtype, shape)]
    const kept = new Uint8Array(hot * bytes)
    for (const [to, id] of order.entries()) {
      const row = data.subarray(id * bytes, (id + 1) * bytes)
      if (to < hot) kept.set(row, to * bytes)
      else pages.set(row, (to - hot) * table.rowBytes + at)
    }
    operands.set(place, { constant: image.add(dtype, 'rows', [hot, ...shape.slice(1)], kept) })
    at += bytes
  }
  return { hot: operands, pages }
}

/** @throws RangeError for what `page` must not answer */
function checkPaging({ node, rows }: LookedUpTable, { order, hot, rowsPerPage }: Paging): void {
  const isWhole = order.length === rows && new Set(order).size === rows && order.every((id) => id >= 0 && id < rows)
  if (!isWhole) throw new RangeError(`the order of table "${node}" does not have each of its ${rows} ids once`)
  if (!Number.isInteger(hot) || hot < 0 || hot > rows)
    throw new RangeError(`table "${node}" has ${rows} rows, and ${hot} cannot stay in the artifact`)
  if (!Number.isInteger(rowsPerPage) || rowsPerPage < 1) throw new RangeError(`a page cannot have ${rowsPerPage} rows`)
}

/** The place of each id. */
function placesOf(order: Int32Array): Int32Array {
  const places = new Int32Array(order.length)
  for (const [place, id] of order.entries()) places[id] = place
  return places
}

async function digestsOf(pages: Uint8Array<ArrayBuffer>, pageBytes: number): Promise<Uint8Array> {
  const digests = new Uint8Array(Math.ceil(pages.length / pageBytes) * DIGEST_BYTES)
  for (let from = 0, to = 0; from < pages.length; from += pageBytes, to += DIGEST_BYTES) {
    const digest = await crypto.subtle.digest('SHA-256', pages.subarray(from, from + pageBytes))
    digests.set(new Uint8Array(digest), to)
  }
  return digests
}

/** The plan with an image of the constants that it reads. */
function withConstantsOf(plan: Plan, image: Image): { readonly plan: Plan; readonly image: Image } {
  const kept = new Image()
  const known = new Map<number, number>()
  const moved = (operand: Operand): Operand => {
    if (operand === null || 'buffer' in operand) return operand
    const constant = known.get(operand.constant) ?? kept.take(image, operand.constant)
    known.set(operand.constant, constant)
    return { constant }
  }
  const steps = plan.steps.map((step) => ({ ...step, in: step.in.map(moved) }))
  return { plan: { ...plan, constants: kept.constants, steps }, image: kept }
}
