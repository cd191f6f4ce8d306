/** An option of a command, declared once: `parseArgs` takes it as it is, and the help is written from it. */
export interface Option {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  readonly multiple?: boolean
  /** The parser's value where the option is not given. */
  readonly default?: string
  /** What the help calls its value. `FILE`, `DIR` and `PATH` are completed with names of files. */
  readonly value?: string
  /** The values that it takes, where they are few: for completion. */
  readonly choices?: readonly string[]
  /** How the help writes the option; `--name VALUE` if left out. */
  readonly shown?: string
  /** A line, or several. Left out where another option's lines are about this one too. */
  readonly help?: string | readonly string[]
}

export type Options = Readonly<Record<string, Option>>

export const HELP_OPTION = { help: { type: 'boolean', help: 'this text' } } as const satisfies Options

/** Between an option and its text, where the longest option of a help sets the column. */
const GAP = 3

/**
 * The lines of a help that describe options, in the order of their declaration.
 * @param width of the column that options are in; the longest decides if left out
 */
export function helpOf(options: Options, width?: number): string {
  const entries = Object.entries(options).flatMap(([name, { help, shown, value }]) => {
    if (help === undefined) return []
    const label = shown ?? (value === undefined ? `--${name}` : `--${name} ${value}`)
    return [{ label, lines: typeof help === 'string' ? [help] : help }]
  })
  const column = width ?? Math.max(...entries.map(({ label }) => label.length)) + GAP
  return entries
    .flatMap(({ label, lines }) => {
      // A label that fills the column has a line of its own.
      const alone = label.length >= column ? [`  ${label}`] : []
      const texts = lines.map((line, at) => `  ${(at === 0 && alone.length === 0 ? label : '').padEnd(column)}${line}`)
      return [...alone, ...texts]
    })
    .join('\n')
}
