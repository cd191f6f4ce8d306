import { readFile } from 'node:fs/promises'
import type { Manifest } from '../../../src/catalog/manifest.ts'
import type { Sample } from '../../../src/quantize/types.ts'
import { UsageError } from '../command-line.ts'
import { type Described, describeModel } from '../describe/describe.ts'
import type { Description } from '../description.ts'
import { readSamples } from '../samples/read.ts'
import { findSamples } from '../verify/find.ts'
import type { LoadedModel } from './load.ts'
import type { ModelSettings, SampleSettings } from './options.ts'
import type { SampleSet } from './precision.ts'
import type { Workbench } from './session.ts'

/** Made-up samples, where there are none. */
const SYNTHETIC = 8

/** What a model is, by what lies beside it and what a person says. @throws UsageError */
export async function describeLoaded({ source, signature }: LoadedModel, model?: ModelSettings): Promise<Described> {
  if (model === undefined) return describeModel({ source, signature })
  const labels = model.labels === undefined ? undefined : await readLabels(model.labels)
  return describeModel({
    source,
    signature,
    overrides: {
      ...(model.name !== undefined && { name: model.name }),
      ...(model.version !== undefined && { version: model.version }),
      ...(model.task !== undefined && { task: model.task }),
      ...(model.licence !== undefined && { licence: model.licence }),
      ...(model.visibility !== undefined && { visibility: model.visibility }),
      ...(labels !== undefined && { labels }),
    },
  })
}

async function readLabels(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--labels ${path} cannot be read (${error.code}).`, { cause: error })
  })
  const labels = text.split(/\r?\n/).map((line) => line.trim())
  while (labels.at(-1) === '') labels.pop()
  if (labels.length === 0) throw new UsageError(`--labels ${path} is empty: it takes one label a line.`)
  return labels
}

/** A person's samples as the model's inputs, or made-up ones. @throws UsageError */
export async function samplesFor(
  { onnx, signature, source }: LoadedModel,
  description: Description,
  settings: SampleSettings,
  { progress, signal }: Workbench,
): Promise<SampleSet> {
  const classes = description.labels?.length
  if (settings.samples === undefined) {
    return {
      samples: await findSamples(onnx, { count: SYNTHETIC, seed: 1, settings: description.preprocess, signal }),
      synthetic: true,
      classes,
    }
  }
  const tokenizer = description.tokenizer === undefined ? undefined : source.files.get(description.tokenizer)
  const task = progress.task('Reading samples', settings.limit, 'steps')
  const samples = await readSamples(settings.samples, {
    manifest: factsOf(description, signature),
    files: new Map(tokenizer === undefined ? [] : [['tokenizer.json', new Uint8Array(await readFile(tokenizer))]]),
    limit: settings.limit,
    ...(settings.part && { part: settings.part }),
    signal,
    progress: (done) => task.set(done),
  })
  task.done(`${samples.length} of them`)
  return { samples, synthetic: false, classes }
}

/** @throws UsageError where there is none */
export function firstOf({ samples }: SampleSet): Sample {
  const [first] = samples
  if (first === undefined) throw new UsageError('There is not one sample: choose more of them.')
  return first
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
