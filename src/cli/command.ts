import { parseArgs } from 'node:util'
import { closest } from './terminal/closest.ts'
import { UsageError } from './terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from './terminal/options.ts'

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
  /** Of a family of commands: `verge keys create`. */
  readonly subcommands?: Readonly<Record<string, Subcommand>>
  /** @param args after the sub-command's name @returns the text to print at the end */
  run(args: readonly string[]): Promise<string | undefined>
}

/** A command of a family, as the family's help lists it. */
export interface Subcommand {
  readonly about: string
  readonly command: Command
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

interface FamilyDefinition {
  /** As a user writes it after "npx verge": `keys`. */
  readonly name: string
  /** What the commands have in common, in a line or several. */
  readonly about: string
  readonly subcommands: Readonly<Record<string, Subcommand>>
  /** Lines at the end of the help. */
  readonly examples: readonly string[]
}

/** A command that only chooses among others: `verge keys create`. */
export function defineFamily({ name, about, subcommands, examples }: FamilyDefinition): Command {
  const names = Object.keys(subcommands)
  const width = Math.max(...names.map((each) => each.length))
  const help = `${about}

Usage: npx verge ${name} <command> [options]

${Object.entries(subcommands)
  .map(([each, { about: text }]) => `  ${each.padEnd(width)}   ${text}`)
  .join('\n')}

"npx verge ${name} <command> --help" shows the options of a command.

${helpOf(HELP_OPTION)}

Examples:
${examples.map((line) => `  ${line}`).join('\n')}`
  return {
    help,
    options: HELP_OPTION,
    operands: names,
    subcommands,
    async run([chosen, ...args]) {
      if (chosen === undefined || chosen === '--help' || chosen === 'help') return help
      const found = Object.hasOwn(subcommands, chosen) ? subcommands[chosen] : undefined
      if (found !== undefined) return found.command.run(args)
      const meant = closest(chosen, names)
      const question = meant === undefined ? '' : ` Did you mean "${meant}"?`
      throw new UsageError(`There is no command "${name} ${chosen}".${question} "npx verge ${name} --help" lists them.`)
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
