import { VergeError } from '../../core/errors.ts'
import { ARRAY_TYPES, type Datatype, halves, type Tensor, tensor } from '../../core/tensors.ts'

/** Puts a cell where it belongs, or says what is wrong with it. */
export type Put = (index: number, cell: unknown) => string | undefined

/** A tensor that is being filled. */
export interface Filling {
  readonly put: Put
  /** Stores NaN; only numbers that have one can. */
  readonly putNaN: ((index: number) => void) | undefined
  readonly finish: () => Tensor
}

const INTEGER_RANGES: Readonly<Partial<Record<Datatype, readonly [bigint, bigint]>>> = {
  UINT8: [0n, 255n],
  UINT16: [0n, 65_535n],
  UINT32: [0n, 4_294_967_295n],
  UINT64: [0n, 18_446_744_073_709_551_615n],
  INT8: [-128n, 127n],
  INT16: [-32_768n, 32_767n],
  INT32: [-2_147_483_648n, 2_147_483_647n],
  INT64: [-9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n],
}

/** Nothing was sent: null, or, where a number is wanted, an empty text. */
export function isEmpty(cell: unknown, datatype: Datatype): boolean {
  return cell === null || cell === undefined || (datatype !== 'BYTES' && typeof cell === 'string' && cell.trim() === '')
}

/** A tensor of `shape` to be filled cell by cell. Numbers may come as texts: Hugging Face's clients and CSV send nothing else. */
export function filling(datatype: Datatype, shape: readonly number[], maxTextLength: number): Filling {
  const count = shape.reduce((product, dimension) => product * dimension, 1)
  if (datatype === 'BYTES') {
    const data = new Array<string>(count).fill('')
    return { put: putText(data, maxTextLength), putNaN: undefined, finish: () => tensor(datatype, shape, data) }
  }
  const data = new ARRAY_TYPES[datatype](count)
  const finish = (): Tensor => ({ datatype, shape, data }) as unknown as Tensor
  const range = INTEGER_RANGES[datatype]
  if (range !== undefined) return { put: putInteger(datatype, data, range), putNaN: undefined, finish }
  if (datatype === 'BOOL') return { put: putBoolean(data), putNaN: undefined, finish }
  const floats: { [index: number]: number | bigint } = datatype === 'FP16' ? halves(data as Uint16Array) : data
  return {
    put: putFloat(datatype, floats),
    putNaN: (index) => {
      floats[index] = Number.NaN
    },
    finish,
  }
}

function putText(data: string[], maxLength: number): Put {
  return (index, cell) => {
    if (typeof cell !== 'string') return `${nameOf(cell)}, but a text is needed`
    if (cell.length > maxLength) return `a text of more than ${maxLength} characters`
    if (!cell.isWellFormed()) return 'a text that is not valid Unicode: half of a surrogate pair is missing'
    if (cell.includes('\0')) return 'a text with a zero character, where ONNX Runtime would truncate it'
    data[index] = cell
    return undefined
  }
}

function putBoolean(data: { [index: number]: number | bigint }): Put {
  return (index, cell) => {
    const value = typeof cell === 'string' ? BOOLEANS.get(cell.trim().toLowerCase()) : cell
    if (value !== true && value !== false && value !== 0 && value !== 1) {
      return `${nameOf(cell)}, but true or false is needed`
    }
    data[index] = value ? 1 : 0
    return undefined
  }
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
  ['1', true],
  ['0', false],
])

function putInteger(
  datatype: Datatype,
  data: { [index: number]: number | bigint },
  [low, high]: readonly [bigint, bigint],
): Put {
  const big = datatype === 'INT64' || datatype === 'UINT64'
  return (index, cell) => {
    const value = integerOf(cell)
    if (typeof value === 'string') return value
    if (value < low || value > high) return `${value}, which is out of the range of ${datatype}: ${low} to ${high}`
    data[index] = big ? value : Number(value)
    return undefined
  }
}

/** Whole digits are taken exactly; other notations, such as the `3.0` of a spreadsheet, as far as doubles are exact. */
function integerOf(cell: unknown): bigint | string {
  if (typeof cell === 'string') {
    const text = cell.trim()
    if (/^[+-]?\d{1,30}$/.test(text)) return BigInt(text.replace('+', ''))
  }
  const value = numberOf(cell)
  if (typeof value === 'string') return value
  if (!Number.isInteger(value)) return `${value}, but an integer is needed`
  if (!Number.isSafeInteger(value)) return 'a number beyond 2^53, which loses digits; send it as a text of digits'
  return BigInt(value)
}

function putFloat(datatype: Datatype, data: { [index: number]: number | bigint }): Put {
  return (index, cell) => {
    const value = numberOf(cell)
    if (typeof value === 'string') return value
    data[index] = value
    return Number.isFinite(data[index]) ? undefined : `${value}, which is out of the range of ${datatype}`
  }
}

/** No digit can be read in two ways, so that a long text takes no longer than its length. */
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i

/** Longer than any number that somebody means. */
const MOST_DIGITS = 400

function numberOf(cell: unknown): number | string {
  if (typeof cell === 'number') return cell
  if (typeof cell === 'string') {
    const text = cell.trim()
    if (text.length <= MOST_DIGITS && DECIMAL.test(text)) return Number(text)
    if (text.length <= MOST_DIGITS && /^[+-]?\d+,\d+$/.test(text)) {
      return `"${text}", but a number is needed; write it with a decimal point`
    }
    if (/^[+-]?(?:nan|n\/a|null|none|inf|infinity)$/i.test(text)) {
      return `"${text}", but a number is needed; leave a cell without a value empty, or null`
    }
  }
  return `${nameOf(cell)}, but a number is needed`
}

function nameOf(cell: unknown): string {
  if (typeof cell === 'string') return `"${cell.slice(0, 40)}${cell.length > 40 ? '...' : ''}"`
  if (typeof cell === 'number' || typeof cell === 'boolean') return `${cell}`
  return Array.isArray(cell) ? 'a list' : 'an object'
}

/** What an empty cell stands for, as a cell; undefined where nothing does. @throws manifest_invalid */
export function fillFor(
  missing: number | string | undefined,
  { datatype, column, model }: { readonly datatype: Datatype; readonly column: string; readonly model: string },
): { readonly cell: unknown; readonly nan: boolean } | undefined {
  if (missing === undefined) return undefined
  const { put, putNaN } = filling(datatype, [1], Number.POSITIVE_INFINITY)
  const nan = putNaN !== undefined && typeof missing === 'string' && missing.toLowerCase() === 'nan'
  const problem = nan ? undefined : put(0, missing)
  if (problem === undefined) return { cell: missing, nan }
  throw new VergeError(
    'manifest_invalid',
    `Model "${model}" replaces an empty cell in column "${column.slice(0, 100)}" by ${problem}. Correct "missing" and push it again.`,
  )
}
