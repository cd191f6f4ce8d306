import { canonicalJson } from '../../catalog/canonical-json.ts'
import type { Manifest } from '../../catalog/manifest.ts'

/**
 * A version with the same contents, except for its name and machine-dependent measurements. It need not be pushed
 * again.
 * @param version the requested version; any version if omitted
 */
export function sameVersion(
  existing: readonly Manifest[],
  manifest: Manifest,
  version: string | undefined,
): Manifest | undefined {
  const contents = ({ version: _, artifacts, ...rest }: Manifest): string =>
    canonicalJson({ ...rest, artifacts: artifacts.map(({ cost: _, ...artifact }) => artifact) })
  const wanted = contents(manifest)
  const candidates = existing.filter((other) => version === undefined || other.version === version)
  return candidates.find((other) => contents(other) === wanted)
}

/** As `sameVersion`, or a version that lacks what Verge's own engine turned out not to answer rightly. */
export function sameBeforeProof(
  existing: readonly Manifest[],
  manifest: Manifest,
  version: string | undefined,
): Manifest | undefined {
  const asIn = (other: Manifest): Manifest => ({
    ...manifest,
    artifacts: manifest.artifacts.filter(
      ({ format, id }) => format !== 'verge' || other.artifacts.some((artifact) => artifact.id === id),
    ),
  })
  return (
    sameVersion(existing, manifest, version) ??
    existing.find((other) => sameVersion([other], asIn(other), version) !== undefined)
  )
}
