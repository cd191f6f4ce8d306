import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  BROWSER_REASONS,
  explainPlacement,
  parsePlacement,
  placeLabel,
  REASONS,
} from '../../../page/result/placement.ts'
import { ROOT } from '../../../src/cli/files/project.ts'

/** The texts of a type that is a union of them. */
function namesIn(file: string, type: string): string[] {
  const source = readFileSync(join(ROOT, file), 'utf8')
  const [, union = ''] = new RegExp(`export type ${type} =((?:\\s*\\|?\\s*[\\w'-]+)+?)\\n\\n`).exec(source) ?? []
  return [...union.matchAll(/'([a-z-]+)'/g)].map(([, name = '']) => name)
}

describe('parsePlacement', () => {
  it('reads the header of the edge', () => {
    expect(parsePlacement('edge;artifact="edge-q8";start=warm;reason=only-place;degraded')).toEqual({
      place: 'edge',
      origin: undefined,
      artifact: 'edge-q8',
      engine: undefined,
      start: 'warm',
      reason: 'only-place',
      degraded: true,
      attempts: 1,
    })
  })

  it('reads the header of an origin', () => {
    const header = 'origin;origin="fra";artifact="a;b";start=cold;reason=too-large-for-edge;attempts=2'
    expect(parsePlacement(header)).toEqual({
      place: 'origin',
      origin: 'fra',
      artifact: 'a;b',
      engine: undefined,
      start: 'cold',
      reason: 'too-large-for-edge',
      degraded: false,
      attempts: 2,
    })
  })

  it('reads the header of a browser', () => {
    expect(parsePlacement('browser;engine=verge;artifact="verge-q8";start=warm')).toMatchObject({
      place: 'browser',
      engine: 'verge',
      artifact: 'verge-q8',
      reason: undefined,
    })
  })

  it.each([undefined, '', ';start=warm', '"edge"', '<script>'])('makes nothing of %j', (header) => {
    expect(parsePlacement(header)).toBeUndefined()
  })
})

describe('explainPlacement', () => {
  it('has a sentence for each reason that the Worker gives', () => {
    const reasons = namesIn('src/placement/policy.ts', 'PlacementReason')
    expect(reasons.length).toBeGreaterThan(5)
    expect(Object.keys(REASONS).sort()).toEqual([...reasons, 'result-cache'].sort())
  })

  it('has a sentence for each reason of the client for browsers', () => {
    const file = 'src/browser/client/decide.ts'
    const reasons = [...namesIn(file, 'PlaceReason'), ...namesIn(file, 'DeviceRefusal')]
    expect(reasons.length).toBeGreaterThan(5)
    expect(Object.keys(BROWSER_REASONS).sort()).toEqual(reasons.sort())
  })

  it('says what matters of an answer', () => {
    const sentences = (header: string) => {
      const info = parsePlacement(header)
      return info === undefined ? [] : explainPlacement(info)
    }
    expect(sentences('edge;start=cold;reason=fits-edge')).toEqual([
      REASONS['fits-edge'],
      'The model was loaded for this request.',
    ])
    expect(sentences('edge;start=cached;reason=result-cache')).toEqual([REASONS['result-cache']])
    expect(sentences('edge;start=warm;reason=origin-down;degraded').join(' ')).toContain('smaller artifact')
    expect(sentences('origin;origin="b";reason=asked-for;attempts=3').join(' ')).toContain('3 origins were asked')
    expect(sentences('edge;reason=a-new-one')).toEqual(['Reason: a-new-one.'])
  })

  it('says why the browser chose a place, and nothing twice', () => {
    expect(explainPlacement({}, 'weights-loading')).toEqual(['The weights are on their way into the browser.'])
    expect(explainPlacement({ reason: 'asked-for' }, 'asked-for')).toEqual([REASONS['asked-for']])
    expect(explainPlacement({}, undefined)).toEqual([])
  })

  it('names places', () => {
    expect(placeLabel('edge')).toBe('At the edge')
    expect(placeLabel('origin', 'fra')).toBe('At an origin “fra”')
    expect(placeLabel('browser')).toBe('In your browser')
  })
})
