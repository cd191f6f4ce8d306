import type { Options } from './terminal/options.ts'

/** A sub-command of `verge`: one file each in `commands/`, imported only when it is asked for. */
export interface Command {
  readonly help: string
  /** All that the parser takes, for completion. */
  readonly options: Options
  /** What stands without an option: files and folders, or one of these words; nothing that can be completed if left out. */
  readonly operands?: 'files' | readonly string[]
  /** @param args after the sub-command's name @returns the text to print at the end */
  run(args: readonly string[]): Promise<string | undefined>
}

/** A command as `verge --help` lists it, before it is loaded. */
export interface ListedCommand {
  readonly about: string
  load(): Promise<Command>
}
