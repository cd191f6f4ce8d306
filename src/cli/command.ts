import { parseArgs } from 'node:util'
import { UsageError } from './terminal/command-line.ts'
import type { Options } from './terminal/options.ts'

/** A sub-command of `verge`: one file each in `commands/`, imported only when it is asked for. */
export interface Command {
  readonly help: string
  /** All that the parser takes, for completion. */
  readonly options: Options
  /**
   * What stands without an option: files and folders, or one of these words; something that cannot be completed if left
   * out. An empty list: nothing.
   */
  readonly operands?: 'files' | readonly string[]
  /** @param args after the sub-command's name @returns the text to print at the end */
  run(args: readonly string[]): Promise<string | undefined>
}

/** A command as `verge --help` lists it, before it is loaded. */
export interface ListedCommand {
  readonly about: string
  load(): Promise<Command>
}

/** What the parser makes of a command's arguments. */
type Parsed<T extends Options> = ReturnType<typeof parseCommand<T>>

interface CommandDefinition<T extends Options> extends Pick<Command, 'help' | 'operands'> {
  readonly options: T
  /** @returns the text to print at the end */
  run(parsed: Parsed<T>): Promise<string | undefined>
}

/** A command that parses its own options, and answers `--help` with its help. */
export function defineCommand<const T extends Options>(definition: CommandDefinition<T>): Command {
  const { help, operands, options } = definition
  return {
    help,
    options,
    ...(operands !== undefined && { operands }),
    async run(args) {
      const parsed = parseCommand(args, options, { operands: operands?.length !== 0 })
      return 'help' in parsed.values && parsed.values.help === true ? help : definition.run(parsed)
    },
  }
}

/** `parseArgs` with the manners of all commands: `--no-x` for flags, and arguments besides options. */
export function parseCommand<const T extends Options>(
  args: readonly string[],
  options: T,
  { operands = true }: { readonly operands?: boolean } = {},
) {
  // Node would read an option that is itself called "no-models" as the negation of "models".
  const allowNegative = !Object.keys(options).some((name) => name.startsWith('no-'))
  return parseArgs({ args: [...args], options, allowPositionals: operands, allowNegative })
}

/** The single positional argument of a command. @throws UsageError if there is not exactly one */
export function onlyArgument(positionals: readonly string[], what: string): string {
  const [first, ...others] = positionals
  if (first === undefined) throw new UsageError(`Specify ${what}.`)
  if (others.length > 0)
    throw new UsageError(`Specify only one: ${positionals.map((value) => `"${value}"`).join(', ')}.`)
  return first
}
