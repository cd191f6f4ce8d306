import type { Artifact, Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import type { Limits } from '../../core/limits.ts'
import { sessionFootprint } from '../../engine/costs.ts'
import type { Engine } from '../../engine/engine.ts'
import { type Backend, type SuitableArtifact, suitableArtifacts } from './artifacts.ts'
import type { Engines } from './engines.ts'

type Model = Pick<Manifest, 'artifacts' | 'model'>

interface Device {
  /** Whether the graphics processor computes in 16-bit floats; asked for when a model is to run there. */
  readonly f16?: (() => Promise<boolean>) | undefined
}

/**
 * The artifact that will be chosen, as far as can be said without its engine, whose download may be larger than the model's.
 * Undefined where none seems to fit: the engines say why.
 */
export async function expectedArtifact(
  model: Model,
  backend: Backend,
  { limits, ...device }: Device & { readonly limits: Pick<Limits, 'engineHeapBytes'> },
): Promise<Artifact | undefined> {
  const suitable = await suitableOn(model, backend, device)
  return suitable.find(({ artifact }) => sessionFootprint(artifact) <= limits.engineHeapBytes)?.artifact
}

/** The first artifact that its engine supports. @throws the first refusal, engine_unsupported, store_unavailable */
export async function chooseArtifact(
  model: Model,
  backend: Backend,
  { engines, ...device }: Device & { readonly engines: Engines },
): Promise<{ readonly chosen: SuitableArtifact; readonly engine: Engine }> {
  const { model: name } = model
  let refusal: VergeError | undefined
  for (const chosen of await suitableOn(model, backend, device)) {
    const { artifact } = chosen
    const engine = await engines.get(chosen.engine)
    const support = engine.supports(artifact)
    if (support.ok) return { chosen, engine }
    refusal ??= new VergeError(
      support.code,
      `Model "${name}" cannot run in this browser: artifact ${artifact.id} ${support.reason}.`,
      { details: { model: name, artifact: artifact.id } },
    )
  }
  throw (
    refusal ??
    new VergeError(
      'engine_unsupported',
      `Model "${name}" has no artifact for browsers. Send the request to the Worker.`,
      { details: { model: name } },
    )
  )
}

async function suitableOn(model: Model, backend: Backend, { f16 }: Device): Promise<readonly SuitableArtifact[]> {
  const half = backend === 'webgpu' && ((await f16?.()) ?? false)
  return suitableArtifacts(model, backend, half)
}
