import * as z from 'zod'
import { blobSchema, FORMATS, PLACEMENTS, PLACES, type Place } from './manifest.ts'

/** An artifact in the format of a newer Verge. It is skipped, so that the known artifacts can still be served. */
export interface AsideArtifact {
  readonly id: string
  /** The unknown part, for a person: `format "vnn"`. */
  readonly what: string
  /** Those of its places that are known; empty if none is. */
  readonly places: readonly Place[]
  /** Its blob, and that of its pages, if they are stored as chunks: the chunks must be kept. */
  readonly blobs?: readonly z.infer<typeof blobSchema>[]
}

/** Fields that artifacts of every Verge version have. */
const anyArtifact = z.object({ id: z.string().min(1).max(64), format: z.string(), places: z.array(z.string()) })
const anyManifest = z.object({ artifacts: z.array(anyArtifact), placement: z.string().optional() })

export interface Sorted {
  /** The manifest's value without its unknown parts. */
  readonly value: unknown
  readonly aside: readonly AsideArtifact[]
}

/**
 * Removes from a stored manifest the artifacts with an unknown `format` or only unknown places, the unknown places of
 * the others, and an unknown `placement`, which becomes `auto`. Damaged parts stay, so that the schema refuses them.
 */
export function sortedByUnderstanding(value: unknown): Sorted {
  const parsed = anyManifest.safeParse(value)
  if (!parsed.success) return { value, aside: [] }
  const raw = value as { readonly artifacts: readonly object[]; readonly placement?: unknown }
  const understood: object[] = []
  const aside: AsideArtifact[] = []
  for (const [index, { id, format, places }] of parsed.data.artifacts.entries()) {
    const artifact = raw.artifacts[index] ?? {}
    const known = places.filter(isPlace)
    const what = !FORMATS.some((each) => each === format)
      ? `format ${JSON.stringify(format.slice(0, 32))}`
      : places.length > 0 && known.length === 0
        ? `place ${JSON.stringify((places[0] ?? '').slice(0, 32))}`
        : undefined
    if (what === undefined) {
      understood.push({ ...artifact, places: known })
      continue
    }
    const blobs = z.array(blobSchema).safeParse('pages' in artifact ? [artifact, artifact.pages] : [artifact])
    aside.push({ id, what, places: known, ...(blobs.success && { blobs: blobs.data }) })
  }
  const { placement, ...rest } = raw
  const keeps = PLACEMENTS.some((each) => each === placement)
  return { value: { ...rest, artifacts: understood, ...(keeps && { placement }) }, aside }
}

/** A phrase after the artifact's name that says why it was skipped, and what to do. */
export function asideReason({ what }: AsideArtifact): string {
  return `has a ${what}, which this version of Verge does not know (deploy a newer one)`
}

function isPlace(name: string): name is Place {
  return PLACES.some((place) => place === name)
}
