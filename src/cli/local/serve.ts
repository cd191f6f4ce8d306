import { relative } from 'node:path'
import { ORIGIN_COMMAND } from '../files/project.ts'
import { UsageError } from '../terminal/command-line.ts'
import { type LiveModel, type Local, startLocal } from './local.ts'
import { essenceOf } from './probe.ts'

export interface ServeOptions {
  readonly port: number
  readonly persistTo: string
  /** Model folders. */
  readonly folders: readonly string[]
  /** As `SeedOptions` has it. */
  readonly release?: boolean
  /** As `DevServerOptions` has them. */
  readonly envFiles?: readonly string[]
  /** Raised by Ctrl-C or a request to end. */
  readonly signal: AbortSignal
}

/** Raised by Ctrl-C or a request to end: for what runs until then, and for which that is no failure. */
export function untilAsked(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => controller.abort())
  return controller.signal
}

/**
 * Serves models on this machine until it is stopped: packs, seeds, starts, waits until each model has answered, and
 * prints commands to paste.
 * @throws UsageError for what a person can fix
 */
export async function serve({ signal, ...options }: ServeOptions): Promise<void> {
  const asked = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
  const log = (line: string): void => console.log(line)
  const local = await Promise.race([startLocal({ ...options, progress: log, log }), asked])
  if (!local) {
    // Before everything answers, the exit handler of the development server ends what has been started.
    process.exit(130)
  }
  console.log(banner(local, await hasPage(local.server.url)))
  const how = await Promise.race([asked, local.server.ended])
  if (how !== undefined) throw new UsageError(`wrangler dev ${how} unexpectedly. See its last lines above.`)
  console.log('\nStopping')
  await local.server.stop()
}

/** Whether a browser gets the page there: it may be turned off. */
async function hasPage(url: string): Promise<boolean> {
  const response = await fetch(url, { headers: { accept: 'text/html' } })
  await response.body?.cancel()
  return response.headers.get('content-type')?.startsWith('text/html') ?? false
}

/** What to paste next; the answers are the ones that the models have just given. */
function banner({ server, models }: Local, page: boolean): string {
  const lines = ['', `Verge is ready at ${server.url}`, '']
  if (page) lines.push('Open this address in a browser to try the models, or ask them from another terminal:', '')
  for (const { packed, folder, probe, answer } of models) {
    const { model, task } = packed.manifest
    lines.push(`# ${model}${task ? ` (${task})` : ''}`)
    lines.push(curlFrom(probe.curl(server.url), folder))
    lines.push(`# ${shorten(JSON.stringify(essenceOf(answer)))}`, '')
  }
  const raw = rawExample(models)
  if (raw) lines.push('# raw tensors (Open Inference Protocol)', raw(server.url), '')
  const elsewhere = models.map(({ packed }) => packed.manifest).filter(({ placement }) => placement === 'origin')
  if (elsewhere.length > 0) {
    const names = elsewhere.map(({ model }) => model).join(', ')
    lines.push(
      `# prefers an origin, and runs here until one is started (docs/origin/run.md): ${names}`,
      ORIGIN_COMMAND,
      '',
    )
  }
  lines.push('# all routes', `curl ${server.url}/openapi.json`, '', 'Press Ctrl-C to stop.', '')
  return lines.join('\n')
}

/** Paths as they are seen from where the command was given. */
function curlFrom(line: string, folder: string): string {
  return line.replaceAll(folder, relative(process.cwd(), folder) || '.')
}

/** A raw request short enough to read: the first model that takes whole numbers, such as a text model's tokens. */
function rawExample(models: readonly LiveModel[]): ((url: string) => string) | undefined {
  const model = models.find(({ packed }) => packed.manifest.inputs.every(({ datatype }) => datatype === 'INT64'))
  if (!model) return undefined
  const ids = [2, 10, 20, 3]
  const inputs = model.packed.manifest.inputs.map(({ name, datatype }) => ({
    name,
    datatype,
    shape: [1, ids.length],
    data: name === 'input_ids' ? ids : ids.map(() => (name === 'attention_mask' ? 1 : 0)),
  }))
  return (url) => `curl ${url}/v2/models/${model.packed.manifest.model}/infer -d '${JSON.stringify({ inputs })}'`
}

function shorten(text: string): string {
  return text.length > 160 ? `${text.slice(0, 157)}...` : text
}
