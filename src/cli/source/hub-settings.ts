import { UsageError } from '../terminal/command-line.ts'
import type { Credential } from './http.ts'
import type { OpenSourceOptions } from './types.ts'

const DEFAULT_ENDPOINT = 'https://huggingface.co'

export interface HubSettings {
  /** With a slash at its end. */
  readonly endpoint: URL
  readonly credential: Credential | undefined
  readonly offline: boolean
}

/** Hub settings from the environment. The token is bound to the endpoint's origin. @throws UsageError */
export function readHubSettings(env: OpenSourceOptions['env']): HubSettings {
  const text = env.HF_ENDPOINT?.trim() || DEFAULT_ENDPOINT
  const endpoint = URL.canParse(text) ? new URL(text) : undefined
  if (endpoint === undefined || !/^https?:$/.test(endpoint.protocol)) {
    throw new UsageError('HF_ENDPOINT is not an address such as https://huggingface.co.')
  }
  if (endpoint.username !== '' || endpoint.password !== '' || endpoint.search !== '' || endpoint.hash !== '') {
    throw new UsageError('HF_ENDPOINT must be an address without credentials. Put the token into HF_TOKEN.')
  }
  if (!endpoint.pathname.endsWith('/')) endpoint.pathname += '/'
  const token = env.HF_TOKEN?.trim()
  if (token !== undefined && !/^[\x21-\x7e]*$/.test(token)) {
    throw new UsageError('HF_TOKEN contains characters that are not allowed in a token. Copy it again.')
  }
  return {
    endpoint,
    credential: token ? { origin: endpoint.origin, authorization: `Bearer ${token}` } : undefined,
    offline: /^(1|on|yes|true)$/i.test(env.HF_HUB_OFFLINE?.trim() ?? ''),
  }
}
