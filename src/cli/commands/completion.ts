import { type Command, defineCommand, type ListedCommand } from '../command.ts'
import { UsageError } from '../terminal/command-line.ts'
import { type CompletedCommand, completionScript, isShell, SHELLS } from '../terminal/completion.ts'
import { HELP_OPTION, helpOf } from '../terminal/options.ts'

const HELP = `Prints a completion script for a shell: commands, options and values of "verge" and "npx verge".

Usage: npx verge completion SHELL

SHELL is ${SHELLS.join(', ')}.

${helpOf(HELP_OPTION)}

Examples:
  source <(npx verge completion bash)                                        in ~/.bashrc
  source <(npx verge completion zsh)                                         in ~/.zshrc, after compinit
  npx verge completion fish > ~/.config/fish/completions/verge.fish`

/** @param listed every command of the command line, this one among them */
export function completionCommand(listed: Readonly<Record<string, ListedCommand>>): Command {
  const command = defineCommand({
    help: HELP,
    options: HELP_OPTION,
    operands: SHELLS,
    async run({ positionals }) {
      const [shell = '', ...more] = positionals
      if (!isShell(shell) || more.length > 0) throw new UsageError(`Specify one shell: ${SHELLS.join(', ')}.`)
      const commands: CompletedCommand[] = []
      for (const [name, { about, load }] of Object.entries(listed)) {
        const { options, operands, subcommands = {} } = name === 'completion' ? command : await load()
        commands.push({ name, about, options, operands })
        for (const [sub, { about: text, command: each }] of Object.entries(subcommands)) {
          commands.push({ name: `${name} ${sub}`, about: text, options: each.options, operands: each.operands })
        }
      }
      return completionScript(shell, commands)
    },
  })
  return command
}
