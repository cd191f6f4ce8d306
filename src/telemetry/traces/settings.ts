import { isLoopback } from '../../core/loopback.ts'

/** Where traces go, and how many. */
export interface TraceSettings {
  /** Receives `ExportTraceServiceRequest` as JSON. */
  readonly url: string
  /** Of each export; they hold credentials. */
  readonly headers: Readonly<Record<string, string>>
  /** Share of requests that are recorded, 0 to 1. */
  readonly sampleRate: number
}

/** Where a collector takes traces, below its address (OTLP specification, 1.10, "OTLP/HTTP Request"). */
const TRACES_PATH = 'v1/traces'
/** RFC 9110: names of headers. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/
/** Visible ASCII and spaces: everything else would be refused when it is sent. */
const HEADER_VALUE = /^[\x20-\x7e]{0,4096}$/

/** The address for traces below a collector's; undefined where it is none. */
export function tracesUrl(endpoint: string): string | undefined {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    return undefined
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${TRACES_PATH}`
  url.hash = ''
  return url.href
}

/** Whether headers with credentials may go there: not in clear over a network. */
export function isPrivate(url: string): boolean {
  const { hostname, protocol } = new URL(url)
  return protocol === 'https:' || isLoopback(hostname)
}

/**
 * Headers as `OTEL_EXPORTER_OTLP_HEADERS` has them: `name=value`, separated by commas, values percent-encoded where they
 * hold what would end them. Undefined where the text is none.
 */
export function parseHeaders(text: string): Readonly<Record<string, string>> | undefined {
  const headers: Record<string, string> = {}
  for (const part of text.split(',').filter((each) => each.trim() !== '')) {
    const at = part.indexOf('=')
    const name = part.slice(0, Math.max(0, at)).trim()
    const value = decoded(part.slice(at + 1).trim())
    if (!HEADER_NAME.test(name) || value === undefined || !HEADER_VALUE.test(value)) return undefined
    headers[name.toLowerCase()] = value
  }
  return headers
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
