import { bundle, type WorkerName } from '../lib/bundle.ts'
import { FIGURE_MODEL } from '../lib/figures.ts'
import type { BenchResult, FitRow } from '../lib/result.ts'
import { fillStorage } from '../lib/storage.ts'
import { hasTfjs, INSTALL_TFJS } from '../lib/tfjs.ts'
import { edgeArtifact, waysOf } from '../lib/ways.ts'
import {
  identitySubject,
  madeSubject,
  type OneRunModelName,
  ownSubject,
  picture,
  type Subject,
} from '../models/subjects.ts'
import { staticSubject, writerSubject } from '../models/task-subjects.ts'
import { measureCallers } from './callers.ts'
import { measureCold } from './cold.ts'
import { measureColdReads } from './cold-reads.ts'
import { type Bench, type Effort, FULL, subject } from './context.ts'
import { measureFirstRequests } from './first-request.ts'
import { measureLargest } from './largest.ts'
import { measureLimits } from './limits.ts'
import { measureLoading } from './loading.ts'
import { measureModels } from './models.ts'
import { measurePages } from './pages.ts'
import { measureProtocols } from './protocols.ts'
import { measureReleases } from './releases.ts'
import { measureRouter, ROUTER_INPUT, ROUTER_MODEL } from './router.ts'
import { measureTelemetry } from './telemetry.ts'
import { measureThroughput } from './throughput.ts'
import { type EngineName, measureWarm, type WarmRow } from './warm.ts'
import { measureWire, WIRE_MODEL } from './wire.ts'

/** Parts of a run, by the names that `--only` takes. */
export const PARTS = [
  'cold',
  'reads',
  'pages',
  'loading',
  'warm',
  'largest',
  'throughput',
  'router',
  'callers',
  'wire',
  'protocols',
  'limits',
  'telemetry',
  'models',
  'releases',
] as const
export type Part = (typeof PARTS)[number]

export type Measurements = Pick<BenchResult, 'fit' | 'leftOut' | 'firstRequests' | Part>

interface Measured {
  readonly name: string
  /** Parts that measure it. */
  readonly parts: readonly Part[]
  /** Left out of quick runs. */
  readonly slow?: true
  readonly make: () => Promise<Subject>
}

const made = (name: OneRunModelName, parts: readonly Part[], slow?: true): Measured => ({
  name,
  parts,
  ...(slow && { slow }),
  make: () => madeSubject(name),
})
const SERVED = ['cold', 'loading', 'warm', 'throughput'] as const

const MEASURED: readonly Measured[] = [
  { name: 'digits', parts: SERVED, make: () => ownSubject('digits') },
  { name: 'reviews', parts: SERVED, make: () => ownSubject('reviews') },
  made('encoder-int8', SERVED),
  made('cnn-fp32', ['cold', 'warm'], true),
  made('cnn-int8', ['cold', 'warm'], true),
  // Cold starts of these would say nothing that those of others of their sizes do not.
  made('vit-fp32', ['warm'], true),
  made('vit-int8', ['warm'], true),
  made('encoder-fp32', ['warm'], true),
  made('bert-base-int8', ['warm'], true),
  // About as large as an isolate can hold.
  made('encoder-medium-int8', ['largest'], true),
  made('distilbert-int8', ['largest'], true),
  { name: ROUTER_MODEL, parts: ['router', 'callers'], make: () => identitySubject(ROUTER_MODEL, ROUTER_INPUT) },
  {
    name: WIRE_MODEL,
    parts: ['wire'],
    make: () => identitySubject(WIRE_MODEL, picture('input', [1, 3, 224, 224])),
  },
]

/** What TensorFlow.js is told how to run. */
const TFJS_MODEL = 'cnn-fp32'

/** What a run measures. */
export interface Chosen {
  readonly effort: Effort
  readonly parts: ReadonlySet<Part>
  /** Names; all of them if left out. */
  readonly models?: ReadonlySet<string> | undefined
}

/** Models that can be chosen. */
export const MODELS: readonly string[] = MEASURED.map(({ name }) => name)

const BUNDLED = ['verge', 'timed', 'plain', 'uncapped', 'reads', 'slow', 'limits', 'telemetry', 'echo'] as const

/** Bundles, packs and stores what the parts need. */
export async function prepare({ effort, models, parts }: Chosen, progress: Bench['progress']): Promise<Bench> {
  const folders: Partial<Record<WorkerName, string>> = {}
  // Simulations need no Worker: only the size of Verge's bundle is told with them.
  const simulated = [...parts].every((part) => part === 'releases')
  for (const name of simulated ? (['verge'] as const) : BUNDLED) {
    progress(`bundling ${name}`)
    folders[name] = await bundle(name)
  }
  const bundles = folders as Record<WorkerName, string>
  const subjects: Subject[] = []
  if (simulated) return { effort, bundles, subjects, progress }
  for (const { name, make } of chosen({ effort, models, parts })) {
    subjects.push(await make())
    progress(`packed ${name}`)
  }
  progress('filling local R2 and KV')
  // Only who measures other runtimes needs the plain files, which are as large as the models.
  const alone = (name: string) => MEASURED.some((model) => model.name === name && model.parts.join() === 'largest')
  const stored = [
    ...(parts.has('protocols') || parts.has('limits') || parts.has('telemetry') ? [await staticSubject()] : []),
    ...(parts.has('protocols') ? [await writerSubject()] : []),
  ]
  await fillStorage(bundles.echo, [
    ...subjects.map((made) => (alone(made.name) ? { name: made.name, packed: made.packed } : made)),
    ...stored,
  ])
  return { effort, bundles, subjects, progress }
}

function chosen({ effort, models, parts }: Chosen): readonly Measured[] {
  return MEASURED.filter(
    (model) =>
      model.parts.some((part) => parts.has(part)) &&
      (effort === FULL || model.slow === undefined) &&
      (models === undefined || models.has(model.name)),
  )
}

/** Measures the parts, one after the other: nothing else runs meanwhile. */
export async function measureAll(bench: Bench, parts: ReadonlySet<Part>): Promise<Measurements> {
  const models = bench.subjects.filter(({ name }) => name !== ROUTER_MODEL && name !== WIRE_MODEL)
  const of = (part: Part): readonly Subject[] =>
    models.filter(({ name }) => MEASURED.some((model) => model.name === name && model.parts.includes(part)))
  const withoutTfjs = parts.has('warm') && bench.effort === FULL && !hasTfjs()
  if (withoutTfjs) bench.progress(WITHOUT_TFJS)
  return {
    ...(models.length > 0 && { fit: models.map(fit) }),
    ...(withoutTfjs && { leftOut: [WITHOUT_TFJS] }),
    ...(parts.has('cold') && {
      cold: await measureCold(bench, of('cold')),
      firstRequests: await measureFirstRequests(bench, of('cold')),
    }),
    ...(parts.has('reads') && { reads: await measureColdReads(bench) }),
    ...(parts.has('pages') && { pages: await measurePages(bench) }),
    ...(of('loading').some(({ name }) => name === FIGURE_MODEL) &&
      parts.has('loading') && { loading: await measureLoading(bench, subject(bench, FIGURE_MODEL)) }),
    ...(parts.has('warm') && { warm: await measureAllWarm(bench, of('warm')) }),
    ...(of('largest').length > 0 && parts.has('largest') && { largest: await measureLargest(bench, of('largest')) }),
    ...(parts.has('throughput') && { throughput: await measureThroughput(bench) }),
    ...(parts.has('router') && { router: await measureRouter(bench) }),
    ...(parts.has('callers') && { callers: await measureCallers(bench) }),
    ...(parts.has('wire') && { wire: await measureWire(bench) }),
    ...(parts.has('protocols') && { protocols: await measureProtocols(bench) }),
    ...(parts.has('limits') && { limits: await measureLimits(bench) }),
    ...(parts.has('telemetry') && { telemetry: await measureTelemetry(bench) }),
    ...(parts.has('models') && { models: await measureModels(bench) }),
    ...(parts.has('releases') && { releases: measureReleases(bench) }),
  }
}

async function measureAllWarm(bench: Bench, models: readonly Subject[]): Promise<WarmRow[]> {
  const rows: WarmRow[] = []
  for (const model of models) {
    rows.push(...(await measureWarm(bench, model, enginesFor(bench.effort, model))))
  }
  return rows
}

const WITHOUT_TFJS = `TensorFlow.js, which is not installed (${INSTALL_TFJS})`

const isSlow = ({ name }: Subject): boolean => MEASURED.some((model) => model.name === name && model.slow)

function enginesFor(effort: Effort, model: Subject): EngineName[] {
  // What does not fit an isolate is measured where it does run: in Workers that know no limit, as in a browser, and natively,
  // as at an origin.
  const ways = waysOf(model.packed)
  const workers = ways.length > 0 ? ways : (['uncapped', 'plain'] as const)
  if (effort !== FULL || !isSlow(model)) return [...workers, 'web', 'native']
  const tfjs = model.name === TFJS_MODEL && hasTfjs() ? (['tfjs'] as const) : []
  return [...workers, 'own', 'web', ...tfjs, 'native']
}

function fit(model: Subject): FitRow {
  const artifact = edgeArtifact(model.packed, 'verge')
  const other = edgeArtifact(model.packed, 'onnxruntime')
  return {
    model: model.name,
    onnxBytes: model.onnx.length,
    edgeBytes: artifact?.bytes ?? null,
    engine: artifact === undefined ? null : artifact.format === 'verge' ? 'verge' : 'onnxruntime',
    memoryBytes: artifact?.memoryBytes ?? null,
    runtimeBytes: other?.bytes ?? null,
    runtimeMemoryBytes: other?.memoryBytes ?? null,
    notes: model.packed.notes,
  }
}
