/** What `verge-placement` says of an answer. */
export interface PlacementInfo {
  readonly place: string
  readonly origin: string | undefined
  readonly artifact: string | undefined
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
    start: parts.get('start'),
    reason: parts.get('reason'),
    degraded: parts.has('degraded'),
    attempts: Number(parts.get('attempts') ?? 1) || 1,
  }
}

/** Each reason of `src/placement/policy.ts`, in a sentence; a test compares the names. */
export const REASONS: Readonly<Record<string, string>> = {
  'only-place': 'It is the only place that can run this model here.',
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

const STARTS: Readonly<Record<string, string>> = {
  warm: 'The weights were in memory.',
  cold: 'The weights were loaded for this request.',
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

/** Sentences that explain where an answer was computed. */
export function explainPlacement(info: PlacementInfo): string[] {
  const { attempts, degraded, reason, start } = info
  return [
    ...(reason === undefined ? [] : [REASONS[reason] ?? `Reason: ${reason}.`]),
    ...(start === undefined || reason === 'result-cache' ? [] : [STARTS[start] ?? `Start: ${start}.`]),
    ...(degraded ? ['A smaller artifact than the model prefers answered (degraded).'] : []),
    ...(attempts > 1 ? [`${attempts} origins were asked; the others failed.`] : []),
  ]
}
