import type { ListedCommand } from './command.ts'

/** Every command of `verge`, in the order of its help. A command is loaded only when it runs. */
export const COMMANDS: Readonly<Record<string, ListedCommand>> = {
  init: {
    about: 'writes an application that uses the package',
    load: async () => (await import('./commands/init.ts')).initCommand,
  },
  start: {
    about: 'runs the Worker on this machine with the models in models/',
    load: async () => (await import('./commands/start.ts')).startCommand,
  },
  origin: {
    about: 'runs an origin, a server for models that do not fit the edge',
    load: async () => (await import('./commands/origin.ts')).originCommand,
  },
  push: {
    about: 'quantizes a model, verifies it, stores it and makes it live',
    load: async () => (await import('./commands/push.ts')).pushCommand,
  },
  dev: {
    about: 'serves a model on this machine in one step',
    load: async () => (await import('./commands/dev.ts')).devCommand,
  },
  inspect: {
    about: 'describes a model and its size in each precision',
    load: async () => (await import('./commands/inspect.ts')).inspectCommand,
  },
  quantize: {
    about: 'writes a quantized copy of a model, and reports the loss',
    load: async () => (await import('./commands/quantize.ts')).quantizeCommand,
  },
  verify: {
    about: 'verifies in workerd that a model agrees with its original',
    load: async () => (await import('./commands/verify.ts')).verifyCommand,
  },
  profile: {
    about: "shows the time of each operator of a model on Verge's own engine",
    load: async () => (await import('./commands/profile.ts')).profileCommand,
  },
  pack: {
    about: 'shows what "push" would store, or writes it into a folder',
    load: async () => (await import('./commands/pack.ts')).packCommand,
  },
  models: {
    about: 'lists the models in a bucket, or the versions of one model',
    load: async () => (await import('./commands/models.ts')).modelsCommand,
  },
  release: {
    about: 'makes versions live (release, canary, rollback); sets public or private',
    load: async () => (await import('./commands/release.ts')).releaseCommand,
  },
  probe: {
    about: 'measures a canary and the stable version from outside, in turn',
    load: async () => (await import('./commands/probe.ts')).probeCommand,
  },
  rm: {
    about: 'removes a model or a version',
    load: async () => (await import('./commands/rm.ts')).rmCommand,
  },
  sweep: {
    about: 'deletes weights that no version uses',
    load: async () => (await import('./commands/sweep.ts')).sweepCommand,
  },
  keys: {
    about: 'creates, lists, rotates and revokes keys of callers',
    load: async () => (await import('./commands/keys.ts')).keysCommand,
  },
  audit: {
    about: 'shows who changed what, and verifies that record',
    load: async () => (await import('./commands/audit.ts')).auditCommand,
  },
  usage: {
    about: 'shows what callers have used in a month',
    load: async () => (await import('./commands/usage.ts')).usageCommand,
  },
  top: {
    about: 'shows health, traffic, cost and changes of a running Worker, live',
    load: async () => (await import('./commands/top.ts')).topCommand,
  },
  traces: {
    about: 'shows traces of Workers and origins on this machine',
    load: async () => (await import('./commands/traces.ts')).tracesCommand,
  },
  setup: {
    about: 'creates the resources of an environment in your Cloudflare account, and pushes the models',
    load: async () => (await import('./commands/setup.ts')).setupCommand,
  },
  completion: {
    about: 'prints a completion script for a shell',
    load: async () => (await import('./commands/completion.ts')).completionCommand(COMMANDS),
  },
  doctor: {
    about: 'checks the configuration, and a running Worker from outside',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand,
  },
}
