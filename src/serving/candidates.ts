import { asideReason } from '../catalog/aside.ts'
import type { Artifact, Manifest, Place } from '../catalog/manifest.ts'
import { VergeError } from '../core/errors.ts'
import type { Engine, Support } from '../engine/engine.ts'

/** One of a model's artifacts, and whether the engine here can run it. */
export interface ArtifactCandidate {
  readonly artifact: Artifact
  readonly support: Support
}

/** An artifact that cannot run here, and why. */
export interface RefusedArtifact {
  readonly id: string
  readonly support: Extract<Support, { readonly ok: false }>
}

/** Which of a model's artifacts can run in this place, on its engine. Loads nothing. */
export class Candidates {
  readonly #place: Place
  readonly #engine: Pick<Engine, 'supports'>
  /** Of manifests in use: what an engine supports does not change. */
  readonly #known = new WeakMap<Manifest, readonly ArtifactCandidate[]>()

  constructor(place: Place, engine: Pick<Engine, 'supports'>) {
    this.#place = place
    this.#engine = engine
  }

  /**
   * Artifacts of a manifest for this place, best first, and whether the engine supports them.
   * @param smallest the one with the fewest bytes comes first instead
   */
  of(manifest: Manifest, smallest = false): readonly ArtifactCandidate[] {
    const all = this.#all(manifest)
    return smallest ? [...all].sort((a, b) => a.artifact.bytes - b.artifact.bytes) : all
  }

  #all(manifest: Manifest): readonly ArtifactCandidate[] {
    const known = this.#known.get(manifest)
    if (known !== undefined) return known
    const all = artifactsFor(manifest, this.#place).map((artifact) => ({
      artifact,
      support: this.#engine.supports(artifact),
    }))
    this.#known.set(manifest, all)
    return all
  }

  /** What a manifest has for this place that a newer Verge has written. */
  aside(manifest: Manifest): readonly RefusedArtifact[] {
    return asideFor(manifest, this.#place)
  }

  /**
   * The first artifact for this place that the engine can run.
   * @throws why the first one cannot, or engine_unsupported where there is none
   */
  chosen(manifest: Manifest, smallest = false): Artifact {
    const refused: RefusedArtifact[] = []
    for (const { artifact, support } of this.of(manifest, smallest)) {
      if (support.ok) return artifact
      refused.push({ id: artifact.id, support })
    }
    const [first] = [...refused, ...this.aside(manifest)]
    if (first) {
      const { id, support } = first
      throw new VergeError(
        support.code,
        `Model "${manifest.model}" cannot run here: artifact ${id} ${support.reason}.`,
        { details: { model: manifest.model, artifact: id } },
      )
    }
    const where = { edge: 'the edge', origin: 'an origin', browser: 'browsers' }[this.#place]
    const or = this.#place === 'edge' ? ', or name an origin that runs it in ORIGINS' : ''
    throw new VergeError(
      'engine_unsupported',
      `Model "${manifest.model}" has no artifact for ${where}. Push one${or}.`,
      { details: { model: manifest.model } },
    )
  }
}

/** Artifacts for a place, best first. An origin's engine runs those for other places too. */
function artifactsFor({ artifacts }: Manifest, place: Place): readonly Artifact[] {
  const meant = artifacts.filter(({ places }) => places.includes(place))
  return place !== 'origin' ? meant : [...meant, ...artifacts.filter((artifact) => !meant.includes(artifact))]
}

/** Artifacts for a place that are not understood here, because a newer Verge has written them. */
function asideFor({ aside = [] }: Manifest, place: Place): readonly RefusedArtifact[] {
  return aside
    .filter(({ places }) => place === 'origin' || places.length === 0 || places.includes(place))
    .map((artifact) => ({
      id: artifact.id,
      support: { ok: false, code: 'engine_unsupported', reason: asideReason(artifact) },
    }))
}
