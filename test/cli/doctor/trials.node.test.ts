import { describe, expect, it } from 'vitest'
import { checkTrials } from '../../../src/cli/doctor/trials.ts'
import { Visitor, type VisitorResponse } from '../../../src/cli/doctor/visitor.ts'
import type { ReleaseBody } from '../../../src/protocols/verge/releases.ts'

const HOUR = 3_600_000
const NOW = Date.parse('2026-12-01T12:00:00Z')
const ago = (ms: number): string => new Date(NOW - ms).toISOString()
const questions = { errors: 1, disagreement: 1, cost: 1, latency: 1 }

type Watch = NonNullable<ReleaseBody['watch']>

function watch(since: number, more: Partial<Watch> = {}, counts: Partial<Watch['counts']> = {}): Watch {
  const none = { count: 0, of: 0 }
  const side = { requests: 0, errors: 0 }
  return {
    generation: 7,
    version: '2',
    against: '1',
    guarded: true,
    verdict: 'watching',
    rules: questions,
    counts: {
      canary: side,
      stable: side,
      disagreed: none,
      costlier: none,
      slower: none,
      failed: 0,
      skipped: 0,
      incomparable: 0,
      largest: 0,
      ...counts,
    },
    evidence: questions,
    together: 1,
    threshold: 100,
    since: ago(since),
    lastReportAt: ago(0),
    failedStops: 0,
    ...more,
  }
}

const canary = { version: '2', against: '1', guarded: true }

async function found(body: Partial<ReleaseBody>, status = 200): Promise<string[]> {
  const release: ReleaseBody = {
    model: 'm',
    generation: 7,
    live: [{ version: '1', weight: 1 }],
    canary: null,
    stopped: null,
    watch: null,
    unreachable: false,
    ...body,
  }
  class Scripted extends Visitor {
    override async ask(path: string): Promise<VisitorResponse> {
      expect(path).toBe('/v1/releases/m')
      const text = JSON.stringify(release)
      return { status, headers: new Headers(), bytes: new Uint8Array(), text, json: JSON.parse(text), ms: 1 }
    }
  }
  const checks = await checkTrials(new Scripted('http://localhost', 'key'), ['m'], NOW)
  return checks.map(({ finding, fix = '', status: kind }) => `${kind}: ${finding} -> ${fix}`)
}

const requests = (count: number) => ({ canary: { requests: count, errors: 0 } })

describe('checkTrials', () => {
  it.each<[string, Partial<ReleaseBody>, RegExp]>([
    ['no trial', {}, /^ok: no canary is on trial/],
    [
      'a young trial',
      { canary, watch: watch(HOUR, {}, requests(5)) },
      /^ok: 1 trial under way, and none waits for you/,
    ],
    [
      'a trial that was seen enough of',
      { canary, watch: watch(30 * HOUR, {}, requests(900)) },
      /^ok: 1 trial under way/,
    ],
    [
      'a canary that was taken out',
      { stopped: { version: '2', at: ago(50 * HOUR), reason: 'errors: 9 of 40' } },
      /^warn: canary 2 of m was taken out 2 days ago \(errors: 9 of 40\), and no command .* -> .*release m --rollback/,
    ],
    [
      'a trial without requests',
      { canary, watch: watch(HOUR, { generation: 6 }, requests(900)) },
      /^warn: no request of canary 2 of m is counted .* -> .*release m 2=25, add --shadow 20/,
    ],
    [
      'a trial with few requests',
      { canary, watch: watch(49 * HOUR, {}, requests(12)) },
      /^warn: canary 2 of m has had 12 requests and 0 comparisons in 2 days: too few to judge it/,
    ],
    [
      'a trial that nobody ends',
      { canary, watch: watch(500 * HOUR, {}, requests(9000)) },
      /^warn: canary 2 of m has had 9000 requests .* in 20 days, and is no worse -> Decide: .*--promote, or --rollback/,
    ],
    [
      'a canary that is worse, and stays',
      { canary: { ...canary, guarded: false }, watch: watch(HOUR, { verdict: 'worse', reason: 'cost: more' }) },
      /^warn: canary 2 of m is worse \(cost: more\), and is not guarded -> .*--rollback/,
    ],
    [
      'an alias that cannot be written',
      { canary, watch: watch(HOUR, { verdict: 'stopping', failedStops: 3 }) },
      /could not be written 3 times/,
    ],
    [
      'samples of which none is compared',
      { canary: { ...canary, shadow: 0.2 }, watch: watch(HOUR, {}, { skipped: 8, incomparable: 30 }) },
      /^warn: of 38 sampled requests of canary 2 of m none was compared: 8 for want of time or memory, 30 of a kind/,
    ],
    [
      'an object that is away',
      { canary, unreachable: true },
      /^warn: the object that watches canary 2 of m does not answer/,
    ],
  ])('knows %s', async (_name, body, line) => {
    expect(await found(body)).toEqual([expect.stringMatching(line)])
  })

  it('says where an older Worker does not tell', async () => {
    expect(await found({}, 404)).toEqual([expect.stringMatching(/^warn: the release of m cannot be read: HTTP 404/)])
  })

  it('asks nothing without a key', async () => {
    expect(await checkTrials(new Visitor('http://localhost', undefined), ['m'], NOW)).toEqual([])
  })
})
