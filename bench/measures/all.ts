import { bundle, type WorkerName } from '../lib/bundle.ts'
import { FIGURE_MODEL } from '../lib/figures.ts'
import type { BenchResult, FitRow } from '../lib/result.ts'
import { fillStorage } from '../lib/storage.ts'
import { edgeArtifact, waysOf } from '../lib/ways.ts'
import { identitySubject, madeSubject, ownSubject, picture, type Subject } from '../models/subjects.ts'
import { measureCold } from './cold.ts'
import { type Bench, type Effort, FULL, subject } from './context.ts'
import { measureLoading } from './loading.ts'
import { measureRouter, ROUTER_INPUT, ROUTER_MODEL } from './router.ts'
import { measureThroughput } from './throughput.ts'
import { measureWarm, type WarmRow } from './warm.ts'
import { measureWire, WIRE_MODEL } from './wire.ts'

/** Parts of a run, by the names that `--only` takes. */
export const PARTS = ['cold', 'loading', 'warm', 'throughput', 'router', 'wire'] as const
export type Part = (typeof PARTS)[number]

export type Measurements = Pick<BenchResult, 'fit' | Part>

/** Bundles, packs and stores what the parts need. */
export async function prepare(effort: Effort, parts: ReadonlySet<Part>, progress: Bench['progress']): Promise<Bench> {
  const folders: Partial<Record<WorkerName, string>> = {}
  for (const name of ['verge', 'timed', 'plain', 'echo'] as const) {
    progress(`bundling ${name}`)
    folders[name] = await bundle(name)
  }
  const bundles = folders as Record<WorkerName, string>
  const subjects: Subject[] = []
  for (const make of makers(effort, parts)) {
    const made = await make()
    progress(`packed ${made.name}`)
    subjects.push(made)
  }
  progress('filling local R2 and KV')
  await fillStorage(bundles.echo, subjects.filter(atTheEdge))
  return { effort, bundles, subjects, progress }
}

function makers(effort: Effort, parts: ReadonlySet<Part>): (() => Promise<Subject>)[] {
  const models = ['cold', 'loading', 'warm', 'throughput'] as const
  return [
    ...(models.some((part) => parts.has(part))
      ? [() => ownSubject('digits'), () => ownSubject('reviews'), () => madeSubject('encoder-int8')]
      : []),
    ...(effort === FULL && (parts.has('cold') || parts.has('warm'))
      ? (['cnn-fp32', 'cnn-int8', 'encoder-fp32', 'bert-base-int8'] as const).map((name) => () => madeSubject(name))
      : []),
    ...(parts.has('router') ? [() => identitySubject(ROUTER_MODEL, ROUTER_INPUT)] : []),
    ...(parts.has('wire') ? [() => identitySubject(WIRE_MODEL, picture('input', [1, 3, 224, 224]))] : []),
  ]
}

/** Measures the parts, one after the other: nothing else runs meanwhile. */
export async function measureAll(bench: Bench, parts: ReadonlySet<Part>): Promise<Measurements> {
  const models = bench.subjects.filter(({ name }) => name !== ROUTER_MODEL && name !== WIRE_MODEL)
  const fitting = models.filter(atTheEdge)
  return {
    ...(models.length > 0 && { fit: models.map(fit) }),
    ...(parts.has('cold') && { cold: await measureCold(bench, fitting) }),
    ...(parts.has('loading') && { loading: await measureLoading(bench, subject(bench, FIGURE_MODEL)) }),
    ...(parts.has('warm') && { warm: await measureAllWarm(bench, models) }),
    ...(parts.has('throughput') && { throughput: await measureThroughput(bench) }),
    ...(parts.has('router') && { router: await measureRouter(bench) }),
    ...(parts.has('wire') && { wire: await measureWire(bench) }),
  }
}

async function measureAllWarm(bench: Bench, models: readonly Subject[]): Promise<WarmRow[]> {
  const rows: WarmRow[] = []
  for (const model of models) {
    // What does not fit an isolate is measured where it does run: natively, as at an origin, and as in a browser.
    rows.push(...(await measureWarm(bench, model, [...waysOf(model.packed), 'web', 'native'])))
  }
  return rows
}

function atTheEdge({ packed }: Subject): boolean {
  return waysOf(packed).length > 0
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
