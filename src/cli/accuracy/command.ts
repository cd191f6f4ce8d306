import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../files/project.ts'
import { startLocal } from '../local/local.ts'
import { percentile, wilsonInterval } from '../statistics.ts'
import { runScript, UsageError } from '../terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import { freePort } from '../terminal/port.ts'
import { assertData, HELD_OUT, type HeldOut, type HeldOutSample } from './held-out.ts'
import { type Measurement, measureAccuracy } from './measure.ts'

const OPTIONS = {
  data: {
    type: 'string',
    value: 'DIR',
    help: 'folder of the data sets (default: ../shared/datasets); models/*/README.md describe their sources',
  },
  url: {
    type: 'string',
    value: 'URL',
    help: 'URL of a running Worker (default: start one with separate local storage)',
  },
  model: { type: 'string', value: 'NAME', help: `only this model: ${HELD_OUT.map(({ model }) => model).join(' or ')}` },
  limit: { type: 'string', value: 'N', help: 'at most N samples of each model, evenly spread' },
  concurrency: {
    type: 'string',
    value: 'N',
    help: 'concurrent requests (default: 1, which measures the latency of an idle server)',
  },
  key: { type: 'string', value: 'KEY', help: 'bearer key for private models (default: VERGE_API_KEY)' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Measures the accuracy of the bundled models over HTTP, on data that was not used for training.

Usage: npm run accuracy -- [options]

${helpOf(OPTIONS)}`

function positiveInteger(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new UsageError(`--${name} must be a whole number above 0.`)
  return value
}

function spread<T>(items: readonly T[], limit: number | undefined): readonly T[] {
  if (limit === undefined || limit >= items.length) return items
  return Array.from({ length: limit }, (_, index) => items[Math.floor((index * items.length) / limit)] as T)
}

function describe({ model, rule }: HeldOut, { right, count, latencies, refusals }: Measurement): string {
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`
  const [low, high] = wilsonInterval(right, count)
  return [
    `${model}: ${percent(right / count)} (${right} of ${count}; 95 % interval ${percent(low)} to ${percent(high)})`,
    `  latency p50 ${percentile(latencies, 0.5).toFixed(1)} ms, p95 ${percentile(latencies, 0.95).toFixed(1)} ms`,
    `  on ${rule}${refusals > 0 ? `; retried after 429: ${refusals} times` : ''}`,
  ].join('\n')
}

await runScript(HELP, async () => {
  const { values } = parseArgs({ options: OPTIONS })
  if (values.help) return HELP
  const wanted = HELD_OUT.filter(({ model }) => values.model === undefined || model === values.model)
  if (wanted.length === 0) throw new UsageError(`There is no held-out data for a model "${values.model}".`)
  const limit = positiveInteger('limit', values.limit)
  const concurrency = positiveInteger('concurrency', values.concurrency) ?? 1
  const key = values.key ?? process.env.VERGE_API_KEY
  const headers: Record<string, string> = key ? { authorization: `Bearer ${key}` } : {}
  const data = resolve(values.data ?? join(ROOT, '../shared/datasets'))

  assertData(data, wanted)
  const sets: { readonly set: HeldOut; readonly samples: readonly HeldOutSample[] }[] = []
  for (const set of wanted) sets.push({ set, samples: spread(await set.read(data), limit) })
  const measureAll = async (url: string): Promise<void> => {
    for (const { set, samples } of sets) {
      console.log(describe(set, await measureAccuracy(`${url}/run/${set.model}`, samples, { concurrency, headers })))
    }
  }

  if (values.url !== undefined) {
    await measureAll(values.url.replace(/\/+$/, ''))
    return
  }
  // Ending by `exit` lets the development server's last resort end what has been started.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130))
  const persistTo = await mkdtemp(join(tmpdir(), 'verge-accuracy-'))
  try {
    const { server } = await startLocal({
      port: await freePort(),
      persistTo,
      folders: wanted.map(({ model }) => join(ROOT, 'models', model)),
      progress: (line) => console.error(line),
      log: () => {},
    })
    try {
      await measureAll(server.url)
    } finally {
      await server.stop()
    }
  } finally {
    await rm(persistTo, { recursive: true, force: true })
  }
  return
})
