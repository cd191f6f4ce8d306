/** The newest release that was seen of those that one key signed. */
export interface KeptGeneration {
  /** Id of the public key. */
  readonly key: string
  readonly generation: number
  /** SHA-256 of the release's bytes (`releaseBytes`). */
  readonly digest: string
}

export interface GenerationVerdict {
  readonly accepted: boolean
  /** The highest generation that was seen, this release included if it is accepted. */
  readonly generation: number
}

/**
 * Whether a release is at least as new as all that was seen. Two releases of one generation are told apart by their
 * digests: the one that was seen first counts.
 * @param kept what was seen, one for each key. What a key signed that is no longer accepted does not count, so that the
 * generations which a stolen key has used up are free again once it is taken out of the configuration.
 * @param accepted ids of the public keys that are configured
 */
export function judgeGeneration(
  kept: readonly KeptGeneration[],
  accepted: readonly string[],
  release: KeptGeneration,
): GenerationVerdict {
  const highest = kept
    .filter(({ key }) => accepted.includes(key))
    .reduce<KeptGeneration | undefined>(
      (most, each) => (most === undefined || each.generation > most.generation ? each : most),
      undefined,
    )
  if (highest === undefined || release.generation > highest.generation) {
    return { accepted: true, generation: release.generation }
  }
  const same = release.generation === highest.generation && release.digest === highest.digest
  return { accepted: same, generation: highest.generation }
}
