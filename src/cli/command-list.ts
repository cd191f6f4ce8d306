import type { ListedCommand } from './command.ts'

/** Every command of `verge`, in the order of its help. A command is loaded only when it runs. */
export const COMMANDS: Readonly<Record<string, ListedCommand>> = {
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
  completion: {
    about: 'prints what makes a shell complete commands, options and their values',
    load: async () => (await import('./commands/completion.ts')).completionCommand(COMMANDS),
  },
  doctor: {
    about: 'checks the configuration, and from outside a Worker that runs',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
}
