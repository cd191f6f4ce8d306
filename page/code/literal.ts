/** How a language writes values. */
interface Notation {
  readonly key: (name: string) => string
  readonly text: (value: string) => string
  readonly yes: string
  readonly no: string
  readonly nothing: string
  /** Space inside the braces of a record on one line. */
  readonly brace: string
  /** Spaces before what a longer value holds. */
  readonly step: number
}

/** Code on one line ends here; longer values take a line for each item. */
const WIDTH = 96
/** More numbers stand on one line, whatever their length: a tensor is not read. */
const SCROLLING = 64

const JSON_NOTATION: Notation = {
  key: (name) => JSON.stringify(name),
  text: (value) => JSON.stringify(value),
  yes: 'true',
  no: 'false',
  nothing: 'null',
  brace: '',
  step: 2,
}

const JAVASCRIPT: Notation = {
  ...JSON_NOTATION,
  key: jsKey,
  text: javascriptText,
  brace: ' ',
}

/** JSON's escapes are Python's too, except for characters beyond U+FFFF, which `JSON.stringify` does not escape. */
const PYTHON: Notation = { ...JSON_NOTATION, yes: 'True', no: 'False', nothing: 'None', step: 4 }

/** A value as JSON, on one line where it is short. @param indent of the line that it begins on */
export const jsonLiteral = (value: unknown, indent = 0): string => literal(value, JSON_NOTATION, indent, indent)
export const jsLiteral = (value: unknown, indent = 0, column = indent): string =>
  literal(value, JAVASCRIPT, indent, column)
export const pythonLiteral = (value: unknown, indent = 0, column = indent): string =>
  literal(value, PYTHON, indent, column)

function literal(value: unknown, notation: Notation, indent: number, column: number): string {
  const line = oneLine(value, notation)
  if (typeof value !== 'object' || value === null || column + line.length <= WIDTH) return line
  if (Array.isArray(value) && value.length > SCROLLING && value.every((item) => typeof item === 'number')) return line
  const inner = indent + notation.step
  const pad = ' '.repeat(inner)
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  const rows = Array.isArray(value)
    ? value.map((item) => literal(item, notation, inner, inner))
    : entries(value).map(([name, item]) => {
        const key = `${notation.key(name)}: `
        return key + literal(item, notation, inner, inner + key.length)
      })
  return `${open}\n${rows.map((row) => pad + row).join(',\n')},\n${' '.repeat(indent)}${close}`.replace(
    /,(\n *[\]}])$/,
    notation === JSON_NOTATION ? '$1' : ',$1',
  )
}

function oneLine(value: unknown, notation: Notation): string {
  if (typeof value === 'string') return notation.text(value)
  if (typeof value === 'number' || typeof value === 'bigint') return numberText(value)
  if (typeof value === 'boolean') return value ? notation.yes : notation.no
  if (typeof value !== 'object' || value === null) return notation.nothing
  if (Array.isArray(value)) return `[${value.map((item) => oneLine(item, notation)).join(', ')}]`
  const { brace } = notation
  const inside = entries(value).map(([name, item]) => `${notation.key(name)}: ${oneLine(item, notation)}`)
  return inside.length === 0 ? '{}' : `{${brace}${inside.join(', ')}${brace}}`
}

const entries = (value: object): [string, unknown][] => Object.entries(value).filter(([, item]) => item !== undefined)

/** JSON has no infinities: a server would not take them, whatever stands here. */
const numberText = (value: number | bigint): string =>
  typeof value === 'number' && !Number.isFinite(value) ? '0' : String(value)

/** The name of a field, in quotes where JavaScript needs them. */
export function jsKey(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : javascriptText(name)
}

/** In single quotes, or in double ones where that saves escapes. */
function javascriptText(value: string): string {
  const quoted = JSON.stringify(value).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
  if (value.includes("'")) return quoted
  return `'${quoted.slice(1, -1).replaceAll('\\"', '"')}'`
}

/** One word for a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w./:@=,?&%+-]+$/.test(text) && !/[?&]/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
