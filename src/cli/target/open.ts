import type { ReleaseSigning } from '../../catalog/signing/release-signing.ts'
import type { HttpOptions } from '../../cloudflare/http.ts'
import type { SigningArguments } from '../signing/options.ts'
import { signingFor } from '../signing/signing.ts'
import { openLocalTarget } from './local.ts'
import { operatorName } from './operator.ts'
import { openRemote } from './remote.ts'
import type { Target } from './target.ts'

export type TargetSpec =
  | {
      /** The folder that `wrangler dev --persist-to` names. */
      readonly local: string
      /** wrangler.toml of the project if left out. */
      readonly configPath?: string
    }
  | {
      /** The environment of wrangler.toml. */ readonly env: string
      readonly remote: true
      readonly configPath: string
    }

export interface OpenOptions {
  /** Cancels requests to a remote target's stores. */
  readonly signal?: AbortSignal
  /** Holds the credentials of a remote target; this process's environment if left out. */
  readonly environment?: NodeJS.ProcessEnv
  readonly http?: HttpOptions
  /** Who makes changes, for the audit log; `VERGE_OPERATOR`, or the system's user, if left out. */
  readonly by?: string | undefined
  /** How changes of models are signed; by the environment's key, if it has one, where this is left out. */
  readonly signing?: SigningArguments | undefined
}

/**
 * Opens the stores that models are pushed to. The caller must dispose of it.
 * @throws UsageError that names missing settings
 */
export async function openTarget(spec: TargetSpec, options: OpenOptions = {}): Promise<Target> {
  const environment = options.environment ?? process.env
  const by = operatorName(options.by, environment)
  let known: Promise<ReleaseSigning> | undefined
  const signing = (): Promise<ReleaseSigning> => {
    known ??= signingFor(spec, options.signing ?? {}, environment)
    return known
  }
  if ('local' in spec) return openLocalTarget(spec.local, { by, signing })
  const { env, configPath } = spec
  return openRemote({ ...options, env, configPath, environment, by, signing })
}
