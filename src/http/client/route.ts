import type { Context } from 'hono'
import { namesTag } from '../etag.ts'
import { CLIENT_ETAG, CLIENT_SCRIPT } from './script.ts'

/** How long browsers and caches use the script without asking: a client of the last release still knows the protocol. */
const MAX_AGE_SECONDS = 300

/** `GET /client.js`: the same for every caller, so that caches may keep it. */
export function clientScript(c: Context): Response {
  const headers = {
    etag: CLIENT_ETAG,
    'cache-control': `public, max-age=${MAX_AGE_SECONDS}, stale-while-revalidate=86400`,
    // Code that is public: pages import it from anywhere.
    'cross-origin-resource-policy': 'cross-origin',
  }
  if (namesTag(c.req.header('if-none-match'), CLIENT_ETAG)) return c.body(null, 304, headers)
  return c.body(CLIENT_SCRIPT, 200, { ...headers, 'content-type': 'text/javascript; charset=utf-8' })
}
