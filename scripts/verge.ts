import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { runScript, UsageError } from './lib/command-line.ts'
import { closest } from './lib/terminal/closest.ts'

// Compiling takes a third of the time of a short command. Where nothing can be written, everything is compiled again.
enableCompileCache(join(import.meta.dirname, '../.verge/compiled'))

/** A sub-command: one file each in `commands/`, imported only when it is asked for. */
export interface Command {
  readonly help: string
  /** @param args behind the sub-command's name @returns what to print at the end */
  run(args: readonly string[]): Promise<string | undefined>
}

const COMMANDS: Readonly<Record<string, { readonly about: string; load(): Promise<Command> }>> = {
  push: {
    about: 'from a model to a live endpoint: makes it small, proves it, stores it, switches it live',
    load: async () => (await import('./commands/push.ts')).pushCommand,
  },
  dev: {
    about: 'serves a model of yours on this machine in one step',
    load: async () => (await import('./commands/dev.ts')).devCommand,
  },
  inspect: {
    about: 'says what a model is, and what each precision would make of it',
    load: async () => (await import('./commands/inspect.ts')).inspectCommand,
  },
  quantize: {
    about: 'writes a smaller form of a model, and says what it lost',
    load: async () => (await import('./commands/quantize.ts')).quantizeCommand,
  },
  verify: {
    about: 'proves in workerd that a model says the same as its original',
    load: async () => (await import('./commands/verify.ts')).verifyCommand,
  },
  pack: {
    about: 'shows what would be stored, or writes it into a folder',
    load: async () => (await import('./commands/pack.ts')).packCommand,
  },
  models: {
    about: 'lists the models that a place has, or the versions of one',
    load: async () => (await import('./commands/models.ts')).modelsCommand,
  },
  release: {
    about: 'switches versions live: a release, a canary, a rollback; public or private',
    load: async () => (await import('./commands/release.ts')).releaseCommand,
  },
  rm: {
    about: 'removes a model or a version, with its copies',
    load: async () => (await import('./commands/rm.ts')).rmCommand,
  },
  setup: {
    about: 'creates what an environment needs in your Cloudflare account, and pushes the models',
    load: async () => (await import('./commands/setup.ts')).setupCommand,
  },
  doctor: {
    about: 'checks the configuration, and from outside a Worker that runs',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
}

const HELP = `Usage: npx verge <command> [options]

${Object.entries(COMMANDS)
  .map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`)
  .join('\n')}

"npx verge <command> --help" says more.`

const [name = '--help', ...args] = process.argv.slice(2)
const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (entry === undefined) {
  await runScript(HELP, async () => {
    if (name === '--help' || name === '-h' || name === 'help') return HELP
    const meant = closest(name, Object.keys(COMMANDS))
    throw new UsageError(
      `There is no command "${name}".${meant === undefined ? '' : ` Did you mean "${meant}"?`} "npx verge --help" lists them.`,
    )
  })
} else {
  const command = await entry.load()
  await runScript(command.help, () => command.run(args))
}
