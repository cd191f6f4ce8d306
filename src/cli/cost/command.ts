import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { LIMITS } from '../../core/limits.ts'
import { isCompiled, TOKENIZER_FILE } from '../../media/text/model-tokenizer.ts'
import { betweenMarkers } from '../files/markers.ts'
import { ROOT } from '../files/project.ts'
import { writeWhole } from '../files/whole-file.ts'
import { packFolder } from '../pack/packer.ts'
import { runScript, UsageError } from '../terminal/command-line.ts'
import { HELP_OPTION, helpOf, type Options } from '../terminal/options.ts'
import { isBenchResult, readBenchFigures } from './bench-figures.ts'
import type { CostedModel } from './estimate.ts'
import { type Figures, readFigures, readJson, readPrices } from './prices.ts'
import { COST_MARKERS, costTables } from './table.ts'

const OPTIONS = {
  requests: { type: 'string', default: '1000000', value: 'N', help: 'requests per month (default: 1000000)' },
  'cold-share': {
    type: 'string',
    default: '0.01',
    value: 'N',
    help: 'share of requests in isolates that have not loaded the model (default: 0.01)',
  },
  figures: {
    type: 'string',
    value: 'FILE',
    help: [
      'measured times: a benchmark result, or a file such as deploy/figures.json',
      '(default: bench/results/last.json if there is one, else deploy/figures.json)',
    ],
  },
  prices: {
    type: 'string',
    default: join(ROOT, 'deploy/prices.json'),
    value: 'FILE',
    help: 'default: deploy/prices.json',
  },
  bytes: {
    type: 'string',
    shown: '--bytes N --cold-cpu-ms N --warm-cpu-ms N',
    help: ['', 'your own model, instead of the measured ones'],
  },
  'cold-cpu-ms': { type: 'string' },
  'warm-cpu-ms': { type: 'string' },
  write: { type: 'boolean', help: 'write the tables into docs/cost.md' },
  ...HELP_OPTION,
} as const satisfies Options

const HELP = `Computes the costs of models on Cloudflare by plan: operations, bytes and dollars, for a cold load and per month.

Usage: node scripts/cost.ts [options]

${helpOf(OPTIONS, 18)}`

const PAGE = join(ROOT, 'docs/cost.md')

type Measured = Figures['models'][number]

async function figuresFrom(given: string | undefined): Promise<Figures> {
  const bench = join(ROOT, 'bench/results/last.json')
  const own = join(ROOT, 'deploy/figures.json')
  const file = given === undefined ? (existsSync(bench) ? bench : own) : resolve(given)
  return isBenchResult(await readJson(file)) ? readBenchFigures(file) : readFigures(file)
}

/** Sizes from the model's files where they are here, else from the figures. */
async function costed(measured: Measured): Promise<CostedModel> {
  const { name, folder, coldCpuMs, warmCpuMs } = measured
  const cpu = { name, coldCpuMs, warmCpuMs }
  if (folder === undefined) {
    const { artifactBytes, otherBytes = 0 } = measured
    if (artifactBytes === undefined) throw new UsageError(`"${name}" needs a folder or its artifactBytes.`)
    return { ...cpu, artifactBytes, chunks: chunksOf(artifactBytes), otherBytes, otherChunks: chunksOf(otherBytes) }
  }
  const { manifest } = await packFolder(join(ROOT, 'models', folder))
  const edge = manifest.artifacts.find(({ places }) => places.includes('edge'))
  if (edge === undefined) throw new UsageError(`Model "${name}" has no artifact for the edge.`)
  // A load reads the compiled tokenizer, and not the file that it was made of.
  const others = Object.entries(manifest.files ?? {}).flatMap(([name, blob]) =>
    name === TOKENIZER_FILE && isCompiled(manifest) ? [] : [blob],
  )
  return {
    ...cpu,
    artifactBytes: edge.bytes,
    chunks: edge.chunks.length,
    otherBytes: others.reduce((sum, { bytes }) => sum + bytes, 0),
    otherChunks: others.reduce((sum, { chunks }) => sum + chunks.length, 0),
  }
}

function chunksOf(bytes: number): number {
  return Math.ceil(bytes / LIMITS.chunkBytes)
}

function number(name: string, text: string, most = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text)
  if (text === '' || !(value >= 0 && value <= most))
    throw new UsageError(`--${name} must be a number from 0 to ${most}.`)
  return value
}

await runScript(HELP, async () => {
  const { values } = parseArgs({ options: OPTIONS })
  if (values.help) return HELP
  const prices = await readPrices(resolve(values.prices))
  let figures = await figuresFrom(values.figures)
  const own = [values.bytes, values['cold-cpu-ms'], values['warm-cpu-ms']]
  if (own.some((value) => value !== undefined)) {
    const [bytes, cold, warm] = own
    if (bytes === undefined || cold === undefined || warm === undefined) {
      throw new UsageError('Give --bytes, --cold-cpu-ms and --warm-cpu-ms together.')
    }
    const model = {
      name: 'your model',
      artifactBytes: number('bytes', bytes),
      coldCpuMs: number('cold-cpu-ms', cold),
      warmCpuMs: number('warm-cpu-ms', warm),
    }
    const now = new Date().toISOString().slice(0, 10)
    figures = { measured: now, machine: 'the command line', method: 'As given.', models: [model] }
  }
  const models: CostedModel[] = []
  for (const measured of figures.models) models.push(await costed(measured))
  const tables = costTables(models, prices, figures, {
    requests: number('requests', values.requests),
    coldShare: number('cold-share', values['cold-share'], 1),
  })
  if (!values.write) return tables
  const page = betweenMarkers(await readFile(PAGE, 'utf8'), COST_MARKERS, tables)
  if (page === undefined) throw new UsageError('docs/cost.md lacks its markers. Restore the page from git.')
  await writeWhole(PAGE, page)
  return 'Wrote docs/cost.md.'
})
