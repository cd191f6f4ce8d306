import { ReleaseCheck } from '../catalog/signing/release-check.ts'
import { SignedAliases } from '../catalog/signing/signed-aliases.ts'
import type { Config } from '../config/config.ts'
import { DurableReleases } from '../releases/guard.ts'
import type { Store } from '../weights/store.ts'
import type { Env } from './env.ts'
import type { Shared } from './shared.ts'

/** What lets signed releases through; undefined where releases need no signature. */
export function releaseCheckOf(
  { RELEASES: namespace }: Env,
  { releaseKeys: keys }: Config,
  shared: Shared,
): ReleaseCheck | undefined {
  if (keys.length === 0) return undefined
  return new ReleaseCheck({ ...shared, keys, memory: namespace && new DurableReleases(namespace) })
}

/** What origins may read of the store: a release that would not be served here they are not given either. */
export function givenToOrigins(truth: Store, releases: ReleaseCheck | undefined, { limits }: Shared): Store {
  return releases === undefined ? truth : new SignedAliases(truth, releases, limits)
}
