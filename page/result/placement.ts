/** What `verge-placement` says of an answer. */
export interface PlacementInfo {
  readonly place: string
  readonly origin: string | undefined
  readonly artifact: string | undefined
  /** What executed it, where an answer says so. */
  readonly engine: string | undefined
  readonly start: string | undefined
  readonly reason: string | undefined
  /** An answer of a smaller artifact than the model prefers. */
  readonly degraded: boolean
  /** Origins that were asked; 1 where the header says nothing. */
  readonly attempts: number
}

const PART = /;([a-z]+)(?:=("[^"]*"|[^;"]*))?/g

/** Reads a `verge-placement` header; undefined where there is none, or another one. */
export function parsePlacement(header: string | undefined): PlacementInfo | undefined {
  const place = /^[a-z]+(?=;|$)/.exec(header ?? '')?.[0]
  if (header === undefined || place === undefined) return undefined
  const parts = new Map(
    [...header.slice(place.length).matchAll(PART)].map(([, name = '', value = '']) => [
      name,
      value.replace(/^"|"$/g, ''),
    ]),
  )
  return {
    place,
    origin: parts.get('origin'),
    artifact: parts.get('artifact'),
    engine: parts.get('engine'),
    start: parts.get('start'),
    reason: parts.get('reason'),
    degraded: parts.has('degraded'),
    attempts: Number(parts.get('attempts') ?? 1) || 1,
  }
}

/** Each reason of `src/placement/policy.ts`, in a sentence; a test compares the names. */
export const REASONS: Readonly<Record<string, string>> = {
  'only-place': 'The Worker has no other place for this model.',
  'fits-edge': 'The model fits into the Worker’s isolate, which is nearest to you.',
  'too-large-for-edge': 'The model does not fit into a Worker’s isolate.',
  'edge-full': 'All slots of the Worker’s isolate were taken.',
  'cost-too-high': 'The request costs more than one request may at the edge.',
  'edge-failed': 'The edge could not load or run the model a moment ago.',
  'model-prefers-origin': 'The model’s manifest asks for an origin.',
  'asked-for': 'You asked for this place.',
  'origin-down': 'The model prefers an origin, and no origin is available.',
  'result-cache': 'Equal inputs were answered before, and the answer was kept: nothing had to run.',
}

/** Each reason of `src/browser/client/decide.ts`, in a sentence; a test compares the names. */
export const BROWSER_REASONS: Readonly<Record<string, string>> = {
  'save-data': 'The browser saves data, so that no weights were downloaded.',
  'slow-network': 'The network is slow, so that no weights were downloaded.',
  'little-memory': 'The device has little memory.',
  'failed-here': 'The model could not run in this browser a moment ago.',
  'weights-loading': 'The weights are on their way into the browser.',
  'download-too-large': 'The weights are too large to be downloaded unasked.',
  'edge-unreachable': 'The Worker cannot be reached, and the weights are in the browser.',
  'not-measured': 'The weights are in the browser, which has not been measured yet.',
  'measured-again': 'The browser is measured again.',
  'faster-here': 'The browser answers sooner than the Worker.',
  'faster-at-edge': 'The Worker answers sooner than the browser.',
  'asked-for': 'You asked for this place.',
}

const STARTS: Readonly<Record<string, string>> = {
  warm: 'The model was in memory there.',
  cold: 'The model was loaded for this request.',
  cached: 'No weights were needed.',
}

const PLACES: Readonly<Record<string, string>> = {
  browser: 'In your browser',
  edge: 'At the edge',
  origin: 'At an origin',
}

export function placeLabel(place: string, origin?: string): string {
  return `${PLACES[place] ?? place}${origin === undefined ? '' : ` “${origin}”`}`
}

/**
 * Sentences that explain where an answer was computed.
 * @param decided the reason of the browser, where it chose between itself and the Worker
 */
export function explainPlacement(info: Partial<PlacementInfo>, decided?: string): string[] {
  const { attempts = 1, degraded = false, reason, start } = info
  return [
    ...(decided === undefined || decided === reason ? [] : [BROWSER_REASONS[decided] ?? `Reason: ${decided}.`]),
    ...(reason === undefined ? [] : [REASONS[reason] ?? `Reason: ${reason}.`]),
    ...(start === undefined || reason === 'result-cache' ? [] : [STARTS[start] ?? `Start: ${start}.`]),
    ...(degraded ? ['A smaller artifact than the model prefers answered (degraded).'] : []),
    ...(attempts > 1 ? [`${attempts} origins were asked; the others failed.`] : []),
  ]
}
