import type { Alias } from '../../catalog/alias.ts'
import { type Manifest, PLACES, type Place } from '../../catalog/manifest.ts'
import { CHAT_TEMPLATE_FILE } from '../../catalog/settings/generation.ts'
import type { TensorSpec } from '../../core/tensors.ts'
import { artifactsForBrowsers } from '../../inference/browser.ts'
import type { ModelCard, ModelDetail } from '../../protocols/models.ts'
import { embedsTexts } from '../../tasks/embedding-models.ts'
import { offeredKinds } from '../../tasks/embedding-output.ts'
import { type Tasks, taskOf } from '../../tasks/task.ts'

/** The version that most requests get. */
export function mainVersion({ live }: Alias): string | undefined {
  return [...live].sort((left, right) => right.weight - left.weight)[0]?.version
}

/** What there is beside the isolate. */
export interface Elsewhere {
  readonly origins: boolean
  /** Whether browsers can get weights. */
  readonly downloads: boolean
}

export function modelCard({ visibility }: Alias, manifest: Manifest, elsewhere: Elsewhere): ModelCard {
  const { artifacts, description, model, task, version } = manifest
  return {
    name: model,
    version,
    ...(task !== undefined && { task }),
    ...(description !== undefined && { description }),
    visibility,
    bytes: artifacts.length === 0 ? 0 : Math.min(...artifacts.map(bytesOf)),
    places: placesOf(manifest, elsewhere),
  }
}

export function modelDetail(alias: Alias, manifest: Manifest, tasks: Tasks, elsewhere: Elsewhere): ModelDetail {
  const { artifacts, audio, files, generation, image, keypoints, labels, licence } = manifest
  const example = exampleOf(manifest, tasks)
  const kinds = embedsTexts(manifest) ? offeredKinds(manifest) : undefined
  return {
    ...modelCard(alias, manifest, elsewhere),
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

function bytesOf({ bytes, pages }: Manifest['artifacts'][number]): number {
  return bytes + (pages?.bytes ?? 0)
}

/** Origins run what is meant for other places, too. */
function placesOf(manifest: Manifest, { downloads, origins }: Elsewhere): Place[] {
  const { artifacts, downloadable, placement } = manifest
  const can: Record<Place, boolean> = {
    edge: artifacts.some(({ places }) => places.length === 0 || places.includes('edge')),
    origin: origins && placement !== 'edge',
    browser: downloads && downloadable === true && artifactsForBrowsers(manifest).length > 0,
  }
  return PLACES.filter((place) => can[place])
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
