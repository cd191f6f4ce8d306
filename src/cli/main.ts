import type { Command } from './command.ts'
import { closest } from './terminal/closest.ts'
import { runScript, UsageError } from './terminal/command-line.ts'

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
