import { join } from 'node:path'
import type { Manifest } from '../../catalog/manifest.ts'
import type { Sample } from '../../quantize/types.ts'
import { nextVersion } from '../describe/describe.ts'
import { chatTemplateOf } from '../describe/generation.ts'
import { ROOT } from '../files/project.ts'
import { bundleWorker } from '../local/bundle.ts'
import { type ArtifactDescription, type Description, withoutOwnEngine } from '../pack/description.ts'
import { type PackedModel, packFolder } from '../pack/packer.ts'
import { refuseUnsendable } from '../pack/sendable.ts'
import type { Existing } from '../push/existing.ts'
import { renderHtml } from '../report/html.ts'
import { type Report, renderJson } from '../report/report.ts'
import { cannotTrimRandom, type TrimSettings } from '../trim/options.ts'
import { trimStage } from '../trim/stage.ts'
import type { BuildContext } from './context.ts'
import { type ModelFolder, writeModelFolder } from './folder.ts'
import { keptChoice } from './kept-choice.ts'
import { keptMemory } from './kept-memory.ts'
import { type LoadedModel, loadModel } from './load.ts'
import { measuredAccuracy } from './measured-accuracy.ts'
import type { ModelSettings } from './model-settings.ts'
import { type Chosen, choosePrecision, withoutComparing } from './precision.ts'
import { measureOriginal, prove } from './prove.ts'
import type { QuantizeSettings } from './quantize-settings.ts'
import { isRandom, randomNote } from './random.ts'
import { reportOf } from './report.ts'
import { exampleRequest } from './request.ts'
import { sameBeforeProof, sameVersion } from './same-version.ts'
import type { SampleSettings } from './sample-settings.ts'
import { describeLoaded, type SampleNeeds } from './samples.ts'

/** Marks a report that reuses the figures of an earlier run. */
export const KEPT_NOTE = 'proof: reused from an earlier run, because its files, samples and tools are unchanged'

/** Where built models lie, a folder each, until they are built again. */
export const BUILT = join(ROOT, '.verge/models')

export interface BuildSettings {
  readonly quantize: QuantizeSettings
  /** Which tokens stay; undefined for all. */
  readonly trim: TrimSettings | undefined
  readonly model: ModelSettings
  readonly samples: SampleSettings
  /** Prove the result in workerd. */
  readonly verify: boolean
  /** Measure latency, memory and cost in workerd. */
  readonly measure: boolean
  /** Measure the original in workerd too. */
  readonly compare: boolean
  /** Keep the original beside it, for an origin. */
  readonly keepOriginal: boolean
  /** Options that the person gave, for the report. */
  readonly asked: Report['options']
  /** Folder to write; `.verge/models/<name>` if left out. */
  readonly folder: string | undefined
  /** Versions of the model at the target. */
  readonly existing: (model: string) => Promise<Existing>
  /**
   * Checks before the proof that the packed model can be pushed. The cost of a run may still be added to a built
   * version; `same` is the stored version with these contents.
   */
  readonly beforeProof?: (packed: PackedModel, same: Manifest | undefined) => Promise<void>
}

export interface Built {
  readonly folder: string
  /** The folder that `report.json` and `report.html` are in. */
  readonly reports: string
  readonly packed: PackedModel
  readonly report: Report
  /** A sample that the model accepts; undefined if neither proof nor measurement is needed and no sample was found. */
  readonly sample: Sample | undefined
}

/**
 * Builds a folder that can be pushed: reads, describes, quantizes, packs and verifies the model, and writes a report.
 * The result appears only when it is complete. The report contains a failed verification.
 * @throws UsageError, OnnxError, VergeError
 */
export async function buildModel(spec: string, settings: BuildSettings, context: BuildContext): Promise<Built> {
  const { progress } = context
  readyWorker(settings)
  const original = await loadModel(spec, { ...context, file: settings.model.file, insecure: settings.model.insecure })
  refuseUnsendable(original.model)
  const random = isRandom(original, settings.model.allowRandom)
  if (random && settings.trim !== undefined) throw cannotTrimRandom()
  const { description: described, notes } = await describeLoaded(original, settings.model, settings.trim !== undefined)
  const existing = await settings.existing(described.name)
  const description =
    settings.model.version === undefined ? { ...described, version: nextVersion(existing.taken) } : described
  const stage = await trimStage(original, description, { ...settings, samples: needsOf(settings) }, context)
  const { loaded, set, trimming } = stage
  const choose = random ? withoutComparing : choosePrecision
  const withTolerance = { ...context, tolerance: settings.samples.tolerance }
  const chosen = await keptChoice(loaded, stage.quantize, set, withTolerance, choose)
  const accuracy = random
    ? null
    : await (stage.accuracyOf?.(chosen.onnx) ?? measuredAccuracy(loaded.onnx, chosen, set, context))
  const folder = settings.folder ?? join(BUILT, description.name)
  const made = folderOf(loaded, description, chosen, settings, accuracy)
  let draft = withExample(await withChatTemplate(made, loaded), set.samples[0])
  await writeModelFolder(folder, draft)

  const packing = progress.task('Packing', undefined, 'steps')
  let packed = await packFolder(folder, keptMemory())
  packing.done(`${packed.manifest.artifacts.length} artifacts`)
  const sameAs = (manifest: Manifest) => sameVersion(existing.manifests, manifest, settings.model.version)
  const before = sameBeforeProof(existing.manifests, packed.manifest, settings.model.version)
  await settings.beforeProof?.(packed, before)
  const against = trimming === null ? 'original' : 'trimmed model'
  const wanted = { ...settings, ...settings.samples, verify: settings.verify && !random, against } as const
  const packWithout = async (dtypes: readonly string[]): Promise<PackedModel> => {
    await writeModelFolder(folder, withoutEngine(draft, dtypes))
    return packFolder(folder, keptMemory())
  }
  const proof = await prove(packed, loaded, set, wanted, context, packWithout)
  const { verification, measured, kept } = proof
  packed = proof.packed
  draft = withoutEngine(draft, proof.declined)
  const same = sameAs(packed.manifest)
  const cost = same === undefined ? measured?.measurements?.cost.cost : costOf(same)
  if (cost !== undefined || same !== undefined) {
    // The cost of a run is measured. It is stored in the description, so that packing is reproducible on every machine.
    draft = withCost(same === undefined ? draft : withVersion(draft, same.version), cost)
    packed = packedAgain(packed, draft)
  }
  const report = await reportOf(original, packed, {
    options: settings.asked,
    choices: [...(random ? [randomNote(loaded)] : []), ...stage.notes, ...chosen.notes].map(choiceOf),
    trimming,
    passes: passesOf(chosen),
    layers: chosen.quantized?.layers ?? [],
    skipped: chosen.quantized?.skipped ?? [],
    verification,
    accuracy,
    measured,
    measuredOriginal: settings.compare && chosen.quantized ? await measureOriginal(loaded, set, context) : null,
    notes: [...notes, ...(kept ? [KEPT_NOTE] : [])],
  })
  const reports = new Map([
    ['report.json', renderJson(report)],
    ['report.html', renderHtml(report)],
  ])
  await writeModelFolder(folder, { ...draft, files: new Map([...draft.files, ...reports]) })
  return { folder, reports: folder, packed, report, sample: set.samples[0] }
}

/** Begins to bundle the Worker that a proof will need, while the model is read and quantized. */
export function readyWorker({ compare, measure, verify }: BuildSettings): void {
  // The proof waits for the same bundle and reports its failure.
  if (verify || measure || compare) bundleWorker().catch(() => undefined)
}

/** Without proof and measurement no sample is needed. */
export function needsOf({ samples, verify, measure, compare }: BuildSettings): SampleNeeds {
  return { ...samples, optional: !verify && !measure && !compare }
}

/** The folder with the artifact that was made, and the original for an origin where it is another. */
function folderOf(
  { onnx, source }: LoadedModel,
  description: Description,
  chosen: Chosen,
  { keepOriginal, model }: BuildSettings,
  accuracy: Report['accuracy'],
): ModelFolder {
  const file = `model.${chosen.dtype}.onnx`
  const files = new Map<string, Uint8Array | { readonly path: string }>([[file, chosen.onnx]])
  const both = keepOriginal && chosen.quantized !== undefined && chosen.dtype !== 'fp32'
  const artifacts: ArtifactDescription[] = [
    {
      file,
      dtype: chosen.dtype,
      ...(both && { places: ['edge', 'browser'] }),
      ...(accuracy !== null && { accuracy }),
    },
  ]
  if (both) {
    files.set('model.fp32.onnx', onnx)
    artifacts.push({ file: 'model.fp32.onnx', dtype: 'fp32', places: ['origin'] })
  }
  const tokenizer = description.tokenizer === undefined ? undefined : source.files.get(description.tokenizer)
  if (tokenizer !== undefined) files.set('tokenizer.json', { path: tokenizer })
  const { hotTexts } = description
  const texts = hotTexts === undefined ? undefined : (model.paging.texts ?? source.files.get(hotTexts))
  if (hotTexts !== undefined && texts !== undefined) files.set(hotTexts, { path: texts })
  return {
    description: { ...description, ...(tokenizer !== undefined && { tokenizer: 'tokenizer.json' }), artifacts },
    files,
  }
}

/** Writes the template to a separate file if only tokenizer_config.json has it. */
async function withChatTemplate({ description, files }: ModelFolder, { source }: LoadedModel): Promise<ModelFolder> {
  const name = description.chatTemplate
  const template = name === undefined ? undefined : await chatTemplateOf(source.files)
  if (name === undefined || template === undefined) return { description, files }
  return { description, files: new Map([...files, [name, template]]) }
}

/** The first request after the folder is served. Some models reject zeros, or inputs of some sizes. */
function withExample({ description, files }: ModelFolder, sample: Sample | undefined): ModelFolder {
  const request = description.task === undefined && sample ? exampleRequest(sample.inputs) : undefined
  return { description, files: request === undefined ? files : new Map([...files, ['samples/request.json', request]]) }
}

type Cost = NonNullable<ArtifactDescription['cost']>

function withCost({ description, files }: ModelFolder, cost: Cost | undefined): ModelFolder {
  const [first, ...others] = description.artifacts
  if (first === undefined || cost === undefined) return { description, files }
  return { description: { ...description, artifacts: [{ ...first, cost }, ...others] }, files }
}

/** Packs the folder again after a change of its version or cost, without converting weights again. */
function packedAgain(packed: PackedModel, { description }: ModelFolder): PackedModel {
  const cost = description.artifacts[0]?.cost
  // It was measured on the form of the first file that the edge prefers.
  const measured = packed.manifest.artifacts.find(({ places }) => places.includes('edge'))
  const artifacts = packed.manifest.artifacts.map((artifact) =>
    cost !== undefined && artifact === measured ? { ...artifact, cost } : artifact,
  )
  return { ...packed, manifest: { ...packed.manifest, version: description.version, artifacts } }
}

/** Of a model that Verge's own engine does not answer rightly in these precisions. */
function withoutEngine({ description, files }: ModelFolder, dtypes: readonly string[]): ModelFolder {
  return { description: withoutOwnEngine(description, dtypes), files }
}

function withVersion({ description, files }: ModelFolder, version: string): ModelFolder {
  return { description: { ...description, version }, files }
}

function costOf({ artifacts }: Manifest): Cost | undefined {
  return artifacts.find(({ places }) => places.includes('edge'))?.cost
}

function passesOf({ quantized }: Chosen): Report['passes'] {
  const changes = new Map<string, number>()
  for (const { pass } of quantized?.applied ?? []) changes.set(pass, (changes.get(pass) ?? 0) + 1)
  return [...changes].map(([pass, count]) => ({ pass, changes: count }))
}

/** A note such as `precision: q8`. */
export function choiceOf(note: string): Report['choices'][number] {
  const colon = note.indexOf(': ')
  return colon < 0 ? { what: 'note', why: note } : { what: note.slice(0, colon), why: note.slice(colon + 2) }
}
