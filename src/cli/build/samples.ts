import { readFile } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import type { Manifest } from '../../catalog/manifest.ts'
import { isVergeError } from '../../core/errors.ts'
import type { Tensors } from '../../core/tensors.ts'
import { isOnnxError } from '../../onnx/errors.ts'
import type { Sample } from '../../quantize/types.ts'
import { type Described, describeModel, type Overrides } from '../describe/describe.ts'
import { DraftError } from '../describe/draft.ts'
import { PRESETS } from '../describe/wishes.ts'
import { ROOT, SOURCE } from '../files/project.ts'
import { writeWhole } from '../files/whole-file.ts'
import type { Description } from '../pack/description.ts'
import { readSamples } from '../samples/read.ts'
import { UsageError } from '../terminal/command-line.ts'
import { type FindOptions, findSamples } from '../verify/find.ts'
import type { BuildContext } from './context.ts'
import type { LoadedModel } from './load.ts'
import type { ModelSettings } from './model-settings.ts'
import type { SampleSet } from './precision.ts'
import type { SampleSettings } from './sample-settings.ts'

/** Generated samples, if the person gave none. */
const SYNTHETIC = 8

/**
 * Describes a model from the files beside it and from options.
 * @param trims whether its vocabulary is trimmed after this
 * @throws UsageError
 */
export async function describeLoaded(
  { source, signature, model: proto, classes, notes }: LoadedModel,
  model?: ModelSettings,
  trims = false,
): Promise<Described> {
  const overrides = model && (await overridesOf(model))
  const metadata = new Map(proto.metadataProps.map(({ key, value }) => [key, value]))
  const options = { source, signature, metadata, trims, ...(overrides && { overrides }) }
  const described = await describeModel(options).catch((error) => withDraft(error, source))
  const { description } = described
  const named =
    description.labels === undefined && classes !== undefined && isTable(description) ? [...classes] : undefined
  return {
    description: { ...description, ...(named && { labels: named }) },
    notes: [...notes, ...described.notes],
  }
}

/** Whether scores may be of classes that a table's classifier names. */
function isTable({ task }: Description): boolean {
  return task === undefined || task === 'tabular-classification'
}

async function overridesOf(model: ModelSettings): Promise<Overrides> {
  const labels = model.labels === undefined ? undefined : await readLabels(model.labels)
  return {
    ...(model.name !== undefined && { name: model.name }),
    ...(model.version !== undefined && { version: model.version }),
    ...(model.task !== undefined && { task: model.task }),
    ...(model.licence !== undefined && { licence: model.licence }),
    ...(model.loopSteps !== undefined && { loopSteps: model.loopSteps }),
    ...(model.engines !== undefined && { engines: model.engines }),
    ...(model.sameBits !== undefined && { sameBits: model.sameBits }),
    ...model.paging.fields,
    ...(model.visibility !== undefined && { visibility: model.visibility }),
    ...(model.downloadable !== undefined && { downloadable: model.downloadable }),
    ...(labels !== undefined && { labels }),
    ...(model.image !== undefined && { image: model.image }),
    ...(model.family !== undefined && { family: model.family }),
  }
}

/** Where a `verge.json` to be filled in is put, a folder for each model. */
const DRAFTS = join(ROOT, '.verge/drafts')

/** @throws UsageError that says where a `verge.json` to be filled in is, and what to do with it */
async function withDraft(error: unknown, { kind, modelFile }: LoadedModel['source']): Promise<never> {
  if (!(error instanceof DraftError)) throw error
  const name = (error.draft as { readonly name: string }).name
  const path = join(DRAFTS, name, 'verge.json')
  await writeWhole(path, `${JSON.stringify(error.draft, null, 2)}\n`)
  const shown = relative(process.cwd(), path)
  const beside =
    kind === 'file' || kind === 'folder' ? `beside ${basename(modelFile)}` : 'in a folder with the .onnx file'
  throw new UsageError(
    [
      error.message,
      `Set the image preprocessing: --preset ${PRESETS.join(' | ')}, or --size, --mean, --std and --layout.`,
      `Or edit ${shown}, which Verge wrote for this model, save it as verge.json ${beside}, and push that folder.`,
    ].join('\n'),
    { cause: error },
  )
}

async function readLabels(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--labels ${path} cannot be read (${error.code}).`, { cause: error })
  })
  const labels = text.split(/\r?\n/).map((line) => line.trim())
  while (labels.at(-1) === '') labels.pop()
  if (labels.length === 0) throw new UsageError(`--labels ${path} is empty. Write one label per line.`)
  return labels
}

export interface SampleNeeds extends SampleSettings {
  /** Whether nothing depends on samples: then there may be none. */
  readonly optional?: boolean
  /** Changes samples that are tensors already, and no texts. */
  readonly renumber?: (inputs: Tensors) => Tensors
}

/** A person's samples as the model's inputs, or made-up ones. @throws UsageError; VergeError run_rejected */
export async function samplesFor(
  { onnx, signature, source }: LoadedModel,
  description: Description,
  settings: SampleNeeds,
  { progress, signal }: BuildContext,
): Promise<SampleSet> {
  const classes = description.labels?.length
  if (settings.samples === undefined) {
    const real = (): Promise<Sample[]> => realTexts({ signature, source }, description, signal)
    const found = await madeUp(onnx, description, settings.optional ?? false, { real, signal })
    return { samples: found, synthetic: true, classes }
  }
  const task = progress.task('Reading samples', settings.limit, 'steps')
  const samples = await readSamples(settings.samples, {
    manifest: factsOf(description, signature),
    files: await tokenizerOf(description, source),
    limit: settings.limit,
    ...(settings.part && { part: settings.part }),
    ...(settings.renumber && { renumber: settings.renumber }),
    signal,
    progress: (done) => task.set(done),
  })
  task.done(`${samples.length} of them`)
  return { samples, synthetic: false, classes }
}

async function madeUp(
  onnx: Uint8Array,
  { preprocess }: Description,
  optional: boolean,
  options: Pick<FindOptions, 'real' | 'signal'>,
): Promise<Sample[]> {
  try {
    return await findSamples(onnx, { count: SYNTHETIC, seed: 1, settings: preprocess, ...options })
  } catch (error) {
    if (!optional || !(isVergeError(error, 'run_rejected') || isOnnxError(error))) throw error
    return []
  }
}

/** Texts that ship with Verge. */
const TEXTS = join(SOURCE, 'cli/verify/texts.txt')

/** Texts that Verge has as the model's inputs; none where it takes no texts, or not these. */
export async function realTexts(
  { signature, source }: Pick<LoadedModel, 'signature' | 'source'>,
  description: Description,
  signal: AbortSignal,
): Promise<Sample[]> {
  if (description.preprocess?.text === undefined) return []
  const options = { manifest: factsOf(description, signature), limit: SYNTHETIC, signal }
  try {
    return await readSamples(TEXTS, { ...options, files: await tokenizerOf(description, source) })
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof UsageError)) throw error
    return []
  }
}

async function tokenizerOf(
  { tokenizer }: Description,
  { files }: LoadedModel['source'],
): Promise<Map<string, Uint8Array>> {
  const path = tokenizer === undefined ? undefined : files.get(tokenizer)
  return new Map(path === undefined ? [] : [['tokenizer.json', new Uint8Array(await readFile(path))]])
}

function factsOf(description: Description, signature: LoadedModel['signature']) {
  const { name, version, task, labels, activation, preprocess } = description
  return {
    model: name,
    version,
    inputs: signature.inputs as Manifest['inputs'],
    outputs: signature.outputs as Manifest['outputs'],
    ...(task !== undefined && { task }),
    ...(labels !== undefined && { labels }),
    ...(activation !== undefined && { activation }),
    ...(preprocess?.image !== undefined && { image: preprocess.image }),
    ...(preprocess?.text !== undefined && { text: preprocess.text }),
    ...(preprocess?.audio !== undefined && { audio: preprocess.audio }),
    ...(preprocess?.embedding !== undefined && { embedding: preprocess.embedding }),
    ...(preprocess?.bytes !== undefined && { bytes: preprocess.bytes }),
  }
}
