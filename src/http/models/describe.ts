import type { Alias } from '../../catalog/alias.ts'
import type { Manifest, Place } from '../../catalog/manifest.ts'
import { CHAT_TEMPLATE_FILE } from '../../catalog/settings/generation.ts'
import type { TensorSpec } from '../../core/tensors.ts'
import type { ModelCard, ModelDetail } from '../../protocols/models.ts'
import { type Tasks, taskOf } from '../../tasks/task.ts'

/** The version that most requests get. */
export function mainVersion({ live }: Alias): string | undefined {
  return [...live].sort((left, right) => right.weight - left.weight)[0]?.version
}

/** @param origins whether there are any */
export function modelCard({ visibility }: Alias, manifest: Manifest, origins: boolean): ModelCard {
  const { artifacts, description, model, task, version } = manifest
  return {
    name: model,
    version,
    ...(task !== undefined && { task }),
    ...(description !== undefined && { description }),
    visibility,
    bytes: artifacts.length === 0 ? 0 : Math.min(...artifacts.map(bytesOf)),
    places: placesOf(manifest, origins),
  }
}

export function modelDetail(alias: Alias, manifest: Manifest, tasks: Tasks, origins: boolean): ModelDetail {
  const { artifacts, audio, files, generation, image, labels, licence } = manifest
  const example = exampleOf(manifest, tasks)
  return {
    ...modelCard(alias, manifest, origins),
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
    ...(audio && { audio: { sampleRate: audio.sampleRate } }),
    ...(generation && {
      generation: {
        contextLength: generation.contextLength,
        chat: Object.hasOwn(files ?? {}, CHAT_TEMPLATE_FILE),
      },
    }),
    ...(example && { example }),
  }
}

function bytesOf({ bytes, pages }: Manifest['artifacts'][number]): number {
  return bytes + (pages?.bytes ?? 0)
}

/** Origins run what is meant for other places, too. */
function placesOf({ artifacts, placement }: Manifest, origins: boolean): Place[] {
  const edge = artifacts.some(({ places }) => places.length === 0 || places.includes('edge'))
  return [...(edge ? (['edge'] as const) : []), ...(origins && placement !== 'edge' ? (['origin'] as const) : [])]
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
