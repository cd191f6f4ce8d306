import { describe, expect, it } from 'vitest'
import { decide, type Facts } from '../../../src/browser/client/decide.ts'
import { BROWSER_LIMITS } from '../../../src/browser/client/limits.ts'

const FACTS: Facts = {
  device: undefined,
  failure: undefined,
  weights: 'absent',
  missingBytes: undefined,
  bytesPerSecond: undefined,
  edgeMs: undefined,
  browserMs: undefined,
  browserAgeMs: undefined,
  queued: 0,
  edgeUnreachable: false,
}

/** `browser` or `edge`, the reason, and whether weights are downloaded. */
function decided(facts: Partial<Facts>): string {
  const { download, place, reason } = decide({ ...FACTS, ...facts }, BROWSER_LIMITS)
  return `${place} ${reason}${download ? ' download' : ''}`
}

const LOADED = { weights: 'loaded', missingBytes: 0, edgeMs: 80 } as const
const LOADING = { weights: 'loading', edgeMs: 80 } as const

describe('decide', () => {
  it.each<[string, Partial<Facts>, string]>([
    ['nothing is here', {}, 'edge weights-loading download'],
    ['a visitor saves data', { device: 'save-data' }, 'edge save-data'],
    ['the network is slow', { device: 'slow-network', missingBytes: 10 }, 'edge slow-network'],
    ['there is little memory', { device: 'little-memory' }, 'edge little-memory'],
    ['a download would be large', { missingBytes: BROWSER_LIMITS.backgroundBytes + 1 }, 'edge download-too-large'],
    ['a download is the largest', { missingBytes: BROWSER_LIMITS.backgroundBytes }, 'edge weights-loading download'],
    ['the model failed here', { failure: 'engine_aborted' }, 'edge failed-here'],
    ['the model failed here, though loaded', { ...LOADED, failure: 'engine_aborted' }, 'edge failed-here'],
    ['the weights are here', LOADED, 'browser not-measured'],
    ['the weights are here, and a visitor saves data', { ...LOADED, device: 'save-data' }, 'browser not-measured'],
    ['the browser is faster', { ...LOADED, browserMs: 20 }, 'browser faster-here'],
    ['both are as fast', { ...LOADED, browserMs: 80 }, 'browser faster-here'],
    ['the edge was never asked', { ...LOADED, browserMs: 900, edgeMs: undefined }, 'browser faster-here'],
    ['the edge is faster', { ...LOADED, browserMs: 81, browserAgeMs: 59_999 }, 'edge faster-at-edge'],
    ['the edge was faster a minute ago', { ...LOADED, browserMs: 81, browserAgeMs: 60_000 }, 'browser measured-again'],
    ['others wait here', { ...LOADED, browserMs: 30, queued: 2 }, 'edge faster-at-edge'],
    ['few wait here', { ...LOADED, browserMs: 30, queued: 1 }, 'browser faster-here'],
    ['the edge cannot be reached', { ...LOADED, browserMs: 900, edgeUnreachable: true }, 'browser edge-unreachable'],
    ['neither is there', { edgeUnreachable: true }, 'edge weights-loading download'],
    ['the weights come, without an edge', { ...LOADING, edgeUnreachable: true }, 'browser edge-unreachable download'],
    ['the weights come', LOADING, 'edge weights-loading download'],
    [
      'the weights come soon',
      { ...LOADING, missingBytes: 50_000, bytesPerSecond: 1e6, browserMs: 30 },
      'browser faster-here download',
    ],
    [
      'the weights come later than an answer of the edge',
      { ...LOADING, missingBytes: 51_000, bytesPerSecond: 1e6, browserMs: 30 },
      'edge weights-loading download',
    ],
    ['the weights are only loaded', { ...LOADING, missingBytes: 0, browserMs: 30 }, 'browser faster-here download'],
    ['no speed is known', { ...LOADING, missingBytes: 1, browserMs: 30 }, 'edge weights-loading download'],
  ])('%s', (_, facts, expected) => {
    expect(decided(facts)).toBe(expected)
  })
})
