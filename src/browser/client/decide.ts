import type { BrowserLimits } from './limits.ts'

/** What speaks against downloads on this device; undefined: nothing. */
export type DeviceRefusal = 'save-data' | 'slow-network' | 'little-memory'

/** What is known when a request comes in. */
export interface Facts {
  readonly device: DeviceRefusal | undefined
  /** The code of a failure that is remembered: the model is not tried again yet. */
  readonly failure: string | undefined
  /** Whether the weights of the live version are loaded. */
  readonly weights: 'absent' | 'loading' | 'loaded'
  /** Bytes that are still to come; undefined where that is not known yet. */
  readonly missingBytes: number | undefined
  /** Of downloads from this server; undefined before the first. */
  readonly bytesPerSecond: number | undefined
  /** Of recent answers: undefined where there is none. */
  readonly edgeMs: number | undefined
  readonly browserMs: number | undefined
  /** When the model last ran here, in milliseconds before now. */
  readonly browserAgeMs: number | undefined
  /** Runs that wait or go on here. */
  readonly queued: number
  /** The last request to the server found no connection. */
  readonly edgeUnreachable: boolean
}

/** Why a place: what `onAnswer` says of an answer. */
export type PlaceReason =
  | DeviceRefusal
  | 'asked-for'
  | 'failed-here'
  | 'weights-loading'
  | 'download-too-large'
  | 'edge-unreachable'
  | 'not-measured'
  | 'measured-again'
  | 'faster-here'
  | 'faster-at-edge'

export interface Decision {
  readonly place: 'browser' | 'edge'
  readonly reason: PlaceReason
  /** Whether weights are to be downloaded in the background. */
  readonly download: boolean
}

/** Where a request runs with `placement: 'auto'`: where its answer is expected first. The table in docs/browser.md is this. */
export function decide(facts: Facts, limits: BrowserLimits): Decision {
  const { browserAgeMs, browserMs, device, edgeMs, edgeUnreachable, failure, missingBytes, queued, weights } = facts
  if (failure !== undefined) return { place: 'edge', reason: 'failed-here', download: false }
  if (weights === 'loaded') {
    if (edgeUnreachable) return { place: 'browser', reason: 'edge-unreachable', download: false }
    if (browserMs === undefined) return { place: 'browser', reason: 'not-measured', download: false }
    const here = browserMs * (queued + 1)
    if (edgeMs === undefined || here <= edgeMs) return { place: 'browser', reason: 'faster-here', download: false }
    // Devices cool down, and other pages end.
    const old = queued === 0 && browserAgeMs !== undefined && browserAgeMs >= limits.measureAgainMs
    if (old) return { place: 'browser', reason: 'measured-again', download: false }
    return { place: 'edge', reason: 'faster-at-edge', download: false }
  }
  if (device !== undefined) return { place: 'edge', reason: device, download: false }
  if (missingBytes !== undefined && missingBytes > limits.backgroundBytes) {
    return { place: 'edge', reason: 'download-too-large', download: false }
  }
  const wait = waitMs(facts)
  if (weights === 'loading' && edgeUnreachable) return { place: 'browser', reason: 'edge-unreachable', download: true }
  if (weights === 'loading' && wait !== undefined && edgeMs !== undefined && wait <= edgeMs) {
    return { place: 'browser', reason: 'faster-here', download: true }
  }
  return { place: 'edge', reason: 'weights-loading', download: true }
}

/** Milliseconds until a model that is being downloaded has answered; undefined where that cannot be said. */
function waitMs({ browserMs, bytesPerSecond, missingBytes }: Facts): number | undefined {
  if (missingBytes === undefined || browserMs === undefined) return undefined
  if (missingBytes === 0) return browserMs
  return bytesPerSecond === undefined ? undefined : (missingBytes / bytesPerSecond) * 1000 + browserMs
}
