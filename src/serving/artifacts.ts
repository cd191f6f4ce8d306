import { asideReason } from '../catalog/aside.ts'
import { quantisesRowsTogether } from '../catalog/dtype.ts'
import type { Artifact, Manifest } from '../catalog/manifest.ts'
import type { ArtifactInfo, Support } from '../engine/engine.ts'
import type { InputShapes } from './run-cost.ts'

/** Artifacts for a place, best first. An origin's engine runs those for other places too. */
export function artifactsFor({ artifacts }: Manifest, place: 'edge' | 'origin'): readonly Artifact[] {
  const meant = artifacts.filter(({ places }) => places.includes(place))
  return place === 'edge' ? meant : [...meant, ...artifacts.filter((artifact) => !meant.includes(artifact))]
}

/** An artifact that cannot run here, and why. */
export interface Refused {
  readonly id: string
  readonly support: Extract<Support, { readonly ok: false }>
}

/** Artifacts for a place that are not understood here, because a newer Verge has written them. */
export function asideFor({ aside = [] }: Manifest, place: 'edge' | 'origin'): readonly Refused[] {
  return aside
    .filter(({ places }) => place === 'origin' || places.length === 0 || places.includes(place))
    .map((artifact) => ({
      id: artifact.id,
      support: { ok: false, code: 'engine_unsupported', reason: asideReason(artifact) },
    }))
}

/** An artifact as an engine sees it. */
export function infoOf({ batching }: Manifest, artifact: Artifact): ArtifactInfo {
  return { ...artifact, batchable: batching ?? !quantisesRowsTogether(artifact.dtype) }
}

/** The prompt is one run, and each token of the answer one of its own, with what every run costs. */
export function runsOf({ inputs }: Manifest, prompt: number, answer: number): InputShapes[] {
  const [ids] = inputs
  if (ids === undefined) return []
  const step = new Map([[ids.name, { shape: [1, 1] }]])
  return [new Map([[ids.name, { shape: [1, prompt] }]]), ...new Array<InputShapes>(answer).fill(step)]
}
