import { runScript, UsageError } from './lib/command-line.ts'

/** A sub-command: one file each in `commands/`, imported only when it is asked for. */
export interface Command {
  readonly help: string
  /** @param args behind the sub-command's name @returns what to print at the end */
  run(args: readonly string[]): Promise<string | undefined>
}

const COMMANDS: Readonly<Record<string, { readonly about: string; load(): Promise<Command> }>> = {
  setup: {
    about: 'creates what an environment needs in your Cloudflare account, and pushes the models',
    load: async () => (await import('./commands/setup.ts')).setupCommand,
  },
  doctor: {
    about: 'checks the configuration, and from outside a Worker that runs',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
}

const HELP = `Usage: npm run verge -- <command> [options]

${Object.entries(COMMANDS)
  .map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`)
  .join('\n')}

"npm run verge -- <command> --help" says more.`

const [name = '--help', ...args] = process.argv.slice(2)
const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (entry === undefined) {
  await runScript(HELP, async () => {
    if (name === '--help' || name === '-h' || name === 'help') return HELP
    throw new UsageError(`There is no command "${name}".\n\n${HELP}`)
  })
} else {
  const command = await entry.load()
  await runScript(command.help, () => command.run(args))
}
