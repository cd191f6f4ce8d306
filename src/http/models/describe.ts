import type { Alias } from '../../catalog/alias.ts'
import { bytesOf } from '../../catalog/index/entry.ts'
import type { Manifest, Place } from '../../catalog/manifest.ts'
import { CHAT_TEMPLATE_FILE } from '../../catalog/settings/generation.ts'
import type { TensorSpec } from '../../core/tensors.ts'
import type { ModelCard, ModelDetail } from '../../protocols/models.ts'
import { type Tasks, taskOf } from '../../tasks/task.ts'
import { embedsTexts } from '../../tasks/text/embedding-models.ts'
import { offeredKinds } from '../../tasks/vectors/embedding-output.ts'
import { type ListedModel, listedModel } from './list.ts'

/** What there is beside the isolate. */
export interface Elsewhere {
  readonly origins: boolean
  /** Whether browsers can get weights. */
  readonly downloads: boolean
}

export function modelCard({ main, model, visibility }: ListedModel, { downloads, origins }: Elsewhere): ModelCard {
  const { bytes, description, places, task, version } = main
  const there: Record<Place, boolean> = { edge: true, origin: origins, browser: downloads }
  return {
    name: model,
    version,
    ...(task !== undefined && { task }),
    ...(description !== undefined && { description }),
    visibility,
    bytes,
    places: places.filter((place) => there[place]),
  }
}

export function modelDetail(alias: Alias, manifest: Manifest, tasks: Tasks, elsewhere: Elsewhere): ModelDetail {
  const { artifacts, audio, description, files, generation, image, keypoints, labels, licence } = manifest
  const example = exampleOf(manifest, tasks)
  const kinds = embedsTexts(manifest) ? offeredKinds(manifest) : undefined
  return {
    ...modelCard(listedModel(alias, manifest), elsewhere),
    // A list's may be shortened.
    ...(description !== undefined && { description }),
    ...(licence !== undefined && { licence }),
    inputs: manifest.inputs.flatMap(tensor),
    outputs: manifest.outputs.flatMap(tensor),
    ...(labels && { labels }),
    artifacts: artifacts.map((artifact) => ({
      id: artifact.id,
      format: artifact.format,
      dtype: artifact.dtype,
      bytes: bytesOf(artifact),
      places: artifact.places,
    })),
    ...(image && { image: { height: image.size[0], width: image.size[1], mode: image.mode, fit: image.fit } }),
    ...(keypoints && {
      keypoints: { names: keypoints.names, ...(keypoints.skeleton && { skeleton: keypoints.skeleton }) },
    }),
    ...(audio && { audio: { sampleRate: audio.sampleRate } }),
    ...(generation && {
      generation: {
        contextLength: generation.contextLength,
        chat: Object.hasOwn(files ?? {}, CHAT_TEMPLATE_FILE),
      },
    }),
    ...(kinds && { kinds: [...kinds] }),
    ...(example && { example }),
  }
}

function exampleOf(manifest: Manifest, tasks: Tasks): ModelDetail['example'] {
  const task = taskOf(tasks, manifest.task)
  const body = (task?.forModel?.(manifest) ?? task)?.example
  return typeof body === 'object' && body !== null && 'inputs' in body ? body : undefined
}

/** Nothing for what is not a tensor. */
function tensor({ datatype, name, shape }: TensorSpec): ModelDetail['inputs'] {
  if (datatype === null) return []
  return [{ name, datatype, shape: shape.map((dimension) => (typeof dimension === 'number' ? dimension : -1)) }]
}
