import type { Context } from 'hono'
import type { AppEnv, PageDocument } from '../app-env.ts'

/**
 * What the page may do: load what this Worker serves, run WebAssembly, show what the visitor gave it. Nothing comes from
 * elsewhere, nothing inline runs, and no other site may put the page into a frame.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Voice activity detection records sound; the page needs nothing else of the device. */
const PERMISSIONS = [
  'microphone=(self)',
  'camera=()',
  'display-capture=()',
  'geolocation=()',
  'payment=()',
  'usb=()',
].join(', ')

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': POLICY,
  'permissions-policy': PERMISSIONS,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  vary: 'accept',
}

/**
 * The page for who asks for HTML, which browsers do when they open an address; undefined for everyone else, and where
 * there is no page.
 */
export async function pageFor(c: Context<AppEnv>, document: PageDocument | undefined): Promise<Response | undefined> {
  if (document === undefined || !prefersHtml(c.req.header('accept'))) return undefined
  const html = await document()
  return html === undefined ? undefined : c.body(html, 200, HEADERS)
}

/** Whether `Accept` names HTML, and does not prefer JSON. `*` alone is what programs send. */
function prefersHtml(accept = ''): boolean {
  const quality = (type: string): number => {
    const range = accept.split(',').find((each) => each.split(';')[0]?.trim().toLowerCase() === type)
    if (range === undefined) return 0
    const [, given = '1'] = /;\s*q=([\d.]+)/i.exec(range) ?? []
    return Number(given)
  }
  const html = quality('text/html')
  return html > 0 && html >= quality('application/json')
}
