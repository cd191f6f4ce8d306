import * as z from 'zod'
import { blobSchema, FORMATS, PLACEMENTS, PLACES, type Place } from './manifest.ts'

/** An artifact that a newer Verge has written: it is left aside, so that what is understood can still be served. */
export interface AsideArtifact {
  readonly id: string
  /** What is not understood, for a person: `format "vnn"`. */
  readonly what: string
  /** Those of its places that are known; empty if none is. */
  readonly places: readonly Place[]
  /** Its bytes, where they are stored as chunks: they are needed, whoever can use them. */
  readonly blob?: z.infer<typeof blobSchema>
}

/** What an artifact of any Verge has; the rest of one that is not understood is anybody's guess. */
const anyArtifact = z.object({ id: z.string().min(1).max(64), format: z.string(), places: z.array(z.string()) })
const anyManifest = z.object({ artifacts: z.array(anyArtifact), placement: z.string().optional() })

export interface Sorted {
  /** The manifest's value without what is not understood. */
  readonly value: unknown
  readonly aside: readonly AsideArtifact[]
}

/**
 * Takes out of a stored manifest the artifacts whose `format` or whose every place is unknown, the unknown places of the
 * others, and a `placement` that is unknown, which then is `auto`. What is damaged stays, for the schema to refuse.
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
    const blob = blobSchema.safeParse(artifact)
    aside.push({ id, what, places: known, ...(blob.success && { blob: blob.data }) })
  }
  const { placement, ...rest } = raw
  const keeps = PLACEMENTS.some((each) => each === placement)
  return { value: { ...rest, artifacts: understood, ...(keeps && { placement }) }, aside }
}

/** What is wrong with an artifact that was left aside, behind its name, and what to do. */
export function asideReason({ what }: AsideArtifact): string {
  return `has a ${what}, which this version of Verge does not know (deploy a newer one)`
}

function isPlace(name: string): name is Place {
  return PLACES.some((place) => place === name)
}
