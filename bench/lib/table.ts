import { table } from '../../src/cli/terminal/format.ts'

/** A table, before it is text. The first row is its head. */
export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** For a terminal: columns aligned by blanks, numbers to the right. */
export function plainText({ title, head, rows }: Table): string {
  return `${title}\n${table([head, ...rows])}`
}

/** For a Markdown file. */
export function markdown({ title, head, rows }: Table): string {
  const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`
  const rule = head.map((_, column) => (isNumeric(rows, column) ? '--:' : '---'))
  return [`**${title}**`, '', line(head), line(rule), ...rows.map(line)].join('\n')
}

function isNumeric(rows: readonly (readonly string[])[], column: number): boolean {
  return rows.every((row) => /^(-?[\d.,]|–)/.test(row[column] ?? ''))
}
