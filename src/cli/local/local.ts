import { join, relative } from 'node:path'
import { isVergeError } from '../../core/errors.ts'
import { systemClock } from '../../core/runtime.ts'
import { ROOT } from '../files/project.ts'
import { type PackedModel, packFolder } from '../pack/packer.ts'
import { describeLive } from '../push/push.ts'
import { describePublished, seed } from '../seed.ts'
import { UsageError } from '../terminal/command-line.ts'
import { isFree } from '../terminal/port.ts'
import { steps } from '../terminal/steps.ts'
import { checkLocalConfiguration } from './configuration.ts'
import { type DevServer, startDevServer } from './dev-server.ts'
import { type ModelProbe, probeFor } from './probe.ts'
import { ask, NoOriginError, untilListening } from './readiness.ts'
import { noteWorker } from './running-worker.ts'

export interface LocalOptions {
  readonly port: number
  readonly persistTo: string
  /** Model folders. */
  readonly folders: readonly string[]
  /** As `SeedOptions` has it. */
  readonly release?: boolean
  /** As `DevServerOptions` has them. */
  readonly envFiles?: readonly string[]
  /** Gets progress, a line a step. */
  readonly progress: (line: string) => void
  /** Gets what wrangler and the Worker print once everything answers. */
  readonly log: (line: string) => void
}

/** A model that has answered. */
export interface LiveModel {
  readonly packed: PackedModel
  readonly folder: string
  readonly probe: ModelProbe
  readonly answer: unknown
}

export interface Local {
  readonly server: DevServer
  readonly models: readonly LiveModel[]
}

/** Bundling and starting workerd take seconds; a loaded or slow machine gets this long. */
const START_PATIENCE_MS = 120_000
const LINES_KEPT = 60

/** The last lines that wrangler printed before something went wrong: where a person finds out why. */
class RecentLines {
  readonly #lines: string[] = []

  add(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > LINES_KEPT) this.#lines.shift()
  }

  toString(): string {
    return this.#lines.join('\n')
  }
}

/**
 * Packs models, seeds local storage, starts `wrangler dev`, and waits until each public model has answered a request,
 * except for models that only an origin can run.
 * @throws UsageError for what a person can fix, VergeError for models that are not right; nothing is left running
 */
export async function startLocal(options: LocalOptions): Promise<Local> {
  const { port, persistTo, folders, progress } = options
  if (!(await isFree(port))) {
    throw new UsageError(
      `Port ${port} is in use. Stop the program that uses it (perhaps an earlier "npm start"), or choose another port:\n\n` +
        `  npm start -- --port ${port + 1}\n`,
    )
  }

  const step = steps({ clock: systemClock, progress })
  await step('Checking the configuration', () => checkLocalConfiguration(join(ROOT, 'wrangler.toml'), options.envFiles))

  const packed: PackedModel[] = []
  for (const folder of folders) {
    const model = await step(`Packing ${relative(process.cwd(), folder)}`, () => packFolder(folder))
    for (const note of model.notes) progress(`  note: ${note}`)
    packed.push(model)
  }
  const published = await step('Storing the models in local R2 and KV', () =>
    seed({ persistTo, models: packed, ...(options.release && { release: true }) }),
  )
  for (const each of published) progress(`  ${describePublished(each)}`)

  const recent = new RecentLines()
  let ready = false
  const server = startDevServer({
    port,
    persistTo,
    ...(options.envFiles && { envFiles: options.envFiles }),
    onLine: (line) => (ready ? options.log(line) : recent.add(line)),
  })
  try {
    await step('Starting the Worker: wrangler bundles it, and workerd runs it', () =>
      untilListening(server, START_PATIENCE_MS),
    )
    progress('Sending a test request to each model')
    const models: LiveModel[] = []
    for (const [index, model] of packed.entries()) {
      const folder = folders[index] as string
      const { manifest } = model
      const { live, visibility } = published[index] ?? { live: [], visibility: model.visibility }
      const [only, ...others] = live
      if (only?.version !== manifest.version || others.length > 0) {
        progress(`  ${manifest.model}: no test request, because version ${describeLive(live)} is live`)
        continue
      }
      const probe = await probeFor(manifest, folder)
      if (visibility === 'private' || !probe) {
        progress(`  ${manifest.model}: no test request, because ${probe ? 'it is private' : 'its input is large'}`)
        continue
      }
      const begun = Date.now()
      const answer = await ask(server, manifest, probe).catch(unlessNoOrigin)
      if (answer instanceof NoOriginError) {
        progress(`  ${manifest.model}: does not answer yet, because ${answer.message}`)
        continue
      }
      progress(`  ${manifest.model}: first answer after ${Date.now() - begun} ms`)
      models.push({ packed: model, folder, probe, answer })
    }
    const forget = await noteWorker(persistTo, server.url)
    server.ended.then(forget)
    ready = true
    return { server, models }
  } catch (error) {
    await server.stop()
    if (!(error instanceof UsageError) && !isVergeError(error)) throw error
    throw new UsageError(`${error.message}\n\nwrangler's last lines:\n${recent}`, { cause: error })
  }
}

function unlessNoOrigin(error: unknown): NoOriginError {
  if (error instanceof NoOriginError) return error
  throw error
}
