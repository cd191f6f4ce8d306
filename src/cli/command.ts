/** A sub-command of `verge`: one file each in `commands/`, imported only when it is asked for. */
export interface Command {
  readonly help: string
  /** @param args after the sub-command's name @returns the text to print at the end */
  run(args: readonly string[]): Promise<string | undefined>
}
