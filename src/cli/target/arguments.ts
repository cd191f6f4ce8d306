import { join, resolve } from 'node:path'
import { ROOT, STATE } from '../files/project.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { Options } from '../terminal/options.ts'
import type { TargetSpec } from './open.ts'

/** What every command that works on a target takes. */
export const TARGET_OPTIONS = {
  local: { type: 'boolean', help: 'local storage, which "npm start" reads (default)' },
  'persist-to': { type: 'string', value: 'DIR', help: 'its folder (default: .wrangler/state)' },
  env: { type: 'string', value: 'NAME', help: 'environment of wrangler.toml instead: staging, production' },
  config: { type: 'string', value: 'FILE', help: 'default: wrangler.toml' },
} as const satisfies Options

export const TARGET_ENVIRONMENT = `Environment, with --env: CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID; R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY if the
bucket has separate S3 keys (else they are derived from the token).`

export interface TargetArguments {
  readonly local?: boolean | undefined
  readonly 'persist-to'?: string | undefined
  readonly env?: string | undefined
  readonly config?: string | undefined
}

/** @throws UsageError if both places are named */
export function targetSpec(values: TargetArguments): TargetSpec {
  const { env, config } = values
  const configPath = configPathOf(config)
  if (env === undefined)
    return { local: values['persist-to'] === undefined ? STATE : resolve(values['persist-to']), configPath }
  if (values.local || values['persist-to'] !== undefined) {
    throw new UsageError('Use either --local (with --persist-to) or --env NAME.')
  }
  return { env, remote: true, configPath }
}

/** The file that --config names. */
export function configPathOf(config: string | undefined): string {
  return config === undefined ? join(ROOT, 'wrangler.toml') : resolve(config)
}
