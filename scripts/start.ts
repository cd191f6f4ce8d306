import { relative } from 'node:path'
import { parseArgs } from 'node:util'
import { runScript, UsageError } from './lib/command-line.ts'
import { type LiveModel, type Local, startLocal } from './lib/local.ts'
import { modelFolders, STATE } from './lib/project.ts'

const HELP = `Starts Verge on this machine: packs the models in models/, writes them into local R2 and KV, runs the Worker
in workerd, and waits until each model has answered. Ctrl-C ends everything.

Usage: npm start -- [options]

  --port N           port to listen on (default: PORT, or 8787)
  --models DIR       folder of model folders, each with a verge.json (default: models)
  --persist-to DIR   local storage (default: .wrangler/state)
  --help             this text`

const DEFAULT_PORT = 8787

function parsePort(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new UsageError(`"${text}" is not a port.`)
  return port
}

/** What to paste next; the answers are the ones that the models have just given. */
function banner({ server, models }: Local): string {
  const lines = ['', `Verge is ready at ${server.url}`, '']
  for (const { packed, folder, probe, answer } of models) {
    const { model, task } = packed.manifest
    lines.push(`# ${model}${task ? ` (${task})` : ''}`)
    lines.push(curlFrom(probe.curl(server.url), folder))
    lines.push(`# ${shorten(JSON.stringify(answer))}`, '')
  }
  const raw = rawExample(models)
  if (raw) lines.push('# raw tensors, by the Open Inference Protocol', raw(server.url), '')
  lines.push('# everything else', `curl ${server.url}/openapi.json`, '', 'Ctrl-C ends it.', '')
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

/** Resolves at the first Ctrl-C or request to end. */
function untilSignal(): { readonly asked: Promise<void> } {
  return {
    asked: new Promise((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
    }),
  }
}

await runScript(HELP, async () => {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      models: { type: 'string' },
      'persist-to': { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return HELP
  const { asked } = untilSignal()
  const starting = startLocal({
    port: parsePort(values.port ?? process.env.PORT ?? String(DEFAULT_PORT)),
    persistTo: values['persist-to'] ?? STATE,
    folders: await modelFolders(values.models),
    progress: (line) => console.log(line),
    log: (line) => console.log(line),
  })
  const local = await Promise.race([starting, asked])
  if (!local) {
    // Before everything answers, the exit handler of the development server ends what has been started.
    process.exit(130)
  }
  console.log(banner(local))
  const how = await Promise.race([asked, local.server.ended])
  if (how !== undefined) throw new UsageError(`wrangler dev ${how} by itself; its last lines are above.`)
  console.log('\nStopping')
  await local.server.stop()
  return undefined
})
