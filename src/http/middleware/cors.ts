import type { MiddlewareHandler } from 'hono'
import { cors as honoCors } from 'hono/cors'
import {
  BUDGET_HEADER,
  MODEL_HEADER,
  PLACE_HEADER,
  PLACEMENT_HEADER,
  REQUEST_ID_HEADER,
  RESULT_CACHE_HEADER,
  STICKY_HEADER,
  TIMEOUT_HEADER,
} from '../../core/headers.ts'
import { JSON_LENGTH_HEADER } from '../../protocols/oip/headers.ts'
import type { AppEnv } from '../app-env.ts'

/** Headers of ours that a page may read. */
const EXPOSED = [
  'accept-ranges',
  'content-range',
  'etag',
  JSON_LENGTH_HEADER,
  'ratelimit',
  'ratelimit-policy',
  'request-id',
  'retry-after',
  'server-timing',
  BUDGET_HEADER,
  RESULT_CACHE_HEADER,
  MODEL_HEADER,
  PLACEMENT_HEADER,
  'www-authenticate',
  'x-should-retry',
  REQUEST_ID_HEADER,
]

/** What the packages of protocols send with every request, from pages too: Anthropic's, Cohere's, OpenAI's, Hugging Face's. */
const SENT_BY_CLIENTS = [
  'anthropic-beta',
  'anthropic-dangerous-direct-browser-access',
  'anthropic-version',
  'openai-organization',
  'openai-project',
  'user-agent',
  'x-api-key',
  'x-client-name',
  'x-fern-language',
  'x-fern-runtime',
  'x-fern-runtime-version',
  'x-fern-sdk-name',
  'x-fern-sdk-version',
  'x-stainless-helper',
  'x-stainless-arch',
  'x-stainless-helper-method',
  'x-stainless-lang',
  'x-stainless-os',
  'x-stainless-package-version',
  'x-stainless-retry-count',
  'x-stainless-runtime',
  'x-stainless-runtime-version',
  'x-stainless-timeout',
]

/** Headers that a page may send. */
const ALLOWED = [
  'authorization',
  'cache-control',
  'content-type',
  'if-none-match',
  'if-range',
  'range',
  JSON_LENGTH_HEADER,
  PLACE_HEADER,
  STICKY_HEADER,
  TIMEOUT_HEADER,
  REQUEST_ID_HEADER,
  ...SENT_BY_CLIENTS,
]

/** Lets pages of the configured origins, and no others, read answers. */
export function cors(origins: readonly string[]): MiddlewareHandler<AppEnv> {
  const any = origins.includes('*')
  const handle = honoCors({
    origin: any ? '*' : (origin) => (origins.includes(origin) ? origin : null),
    allowMethods: ['GET', 'HEAD', 'POST'],
    allowHeaders: ALLOWED,
    exposeHeaders: EXPOSED,
    // Browsers cap it themselves: Chromium at two hours.
    maxAge: 7200,
  })
  return (c, next) => {
    const preflight = c.req.method === 'OPTIONS' && c.req.header('access-control-request-method') !== undefined
    // A plain OPTIONS asks what a resource can do, and is answered by the route.
    if (c.req.header('origin') === undefined || (c.req.method === 'OPTIONS' && !preflight)) return next()
    return handle(c, next)
  }
}
