import { describe, expect, it } from 'vitest'
import { explainCandidates } from '../../src/placement/explain-candidates.ts'
import {
  type Decision,
  decide,
  type EdgeArtifact,
  type OriginFacts,
  type PlacementFacts,
} from '../../src/placement/policy.ts'

const fits = (id: string, cost = 1): EdgeArtifact => ({ id, support: { ok: true }, cost })
const tooLarge: EdgeArtifact = { id: 'big', support: { ok: false, code: 'model_too_large', reason: 'is too large' } }
const foreign: EdgeArtifact = { id: 'odd', support: { ok: false, code: 'engine_unsupported', reason: 'is odd' } }

/** The edge's artifacts, by what there is; a request may cost 10. */
const ARTIFACTS = {
  none: [],
  large: [tooLarge],
  odd: [foreign],
  one: [fits('a')],
  costly: [fits('a', 11)],
  two: [fits('a'), fits('b')],
  second: [tooLarge, fits('b')],
  costlyFirst: [fits('a', 11), fits('b')],
  costlyBoth: [fits('a', 11), fits('b', 11)],
} as const satisfies Record<string, readonly EdgeArtifact[]>

const origin = (name: string, given: Partial<OriginFacts> = {}): OriginFacts => ({
  name,
  state: 'up',
  hasModel: true,
  routeSupport: 'forward',
  ...given,
})

const ORIGINS = {
  none: [],
  foreign: [origin('x', { hasModel: false })],
  mute: [origin('x', { routeSupport: 'no' })],
  down: [origin('x', { state: 'down' })],
  half: [origin('x', { state: 'half-open' })],
  up: [origin('x')],
  both: [origin('x', { takesTensors: true }), origin('y', { state: 'down' })],
  mixed: [
    origin('t', { routeSupport: 'tensors' }),
    origin('x'),
    origin('y', { takesTensors: true }),
    origin('z', { state: 'down' }),
  ],
} as const satisfies Record<string, readonly OriginFacts[]>

interface Case {
  readonly preference: PlacementFacts['preference']
  readonly hint: PlacementFacts['hint']
  readonly artifacts: keyof typeof ARTIFACTS
  readonly origins: keyof typeof ORIGINS
  readonly state?: 'full' | 'failed'
}

function facts({ artifacts, hint, origins, preference, state }: Case): PlacementFacts {
  return {
    model: 'm',
    preference,
    hint,
    edge: {
      artifacts: ARTIFACTS[artifacts],
      full: state === 'full',
      loaded: state !== 'failed',
      startable: state !== 'failed',
      costLimit: 10,
    },
    origins: ORIGINS[origins],
    retryAfter: 7,
  }
}

/** `edge:a(reason)`, `edge:a!(reason)` if degraded, `forward:x,y(reason)`, or the refusal's code. */
function told({ refusal, steps }: Decision): string {
  if (refusal !== undefined) return refusal.code
  return steps
    .map((step) =>
      step.place === 'edge'
        ? `edge:${step.artifact}${step.degraded ? '!' : ''}(${step.reason})`
        : `${step.how}:${step.origins.join(',')}(${step.reason})`,
    )
    .join(' ')
}

describe('placement policy', () => {
  it.each<[string, Case['preference'], Case['hint'], Case['artifacts'], Case['origins'], Case['state']?]>([
    // one place alone
    ['edge:a(only-place)', 'auto', 'auto', 'one', 'none'],
    ['edge:a(only-place)', 'auto', 'auto', 'one', 'foreign'],
    ['edge:a(only-place)', 'auto', 'auto', 'one', 'mute'],
    ['edge:a(only-place)', 'auto', 'auto', 'one', 'none', 'full'],
    ['edge:a(only-place)', 'auto', 'auto', 'costly', 'none'],
    ['edge:a(only-place) edge:b!(edge-failed)', 'auto', 'auto', 'two', 'none'],
    ['edge:a(only-place)', 'auto', 'auto', 'costlyFirst', 'none'],
    ['engine_unsupported', 'auto', 'auto', 'none', 'none'],
    ['model_too_large', 'auto', 'auto', 'large', 'none'],
    ['engine_unsupported', 'auto', 'auto', 'odd', 'foreign'],
    // auto
    ['edge:a(fits-edge) forward:x(edge-failed)', 'auto', 'auto', 'one', 'up'],
    ['edge:a(fits-edge) forward:x(edge-failed)', 'auto', 'auto', 'one', 'half'],
    ['edge:a(fits-edge)', 'auto', 'auto', 'one', 'down'],
    ['edge:a(fits-edge) tensors:x(edge-failed)', 'auto', 'auto', 'one', 'both'],
    ['edge:a(fits-edge) tensors:t,y(edge-failed) forward:x(edge-failed)', 'auto', 'auto', 'one', 'mixed'],
    ['edge:a(fits-edge) forward:x(edge-failed) edge:b!(origin-down)', 'auto', 'auto', 'two', 'up'],
    ['edge:a(fits-edge) edge:b!(edge-failed)', 'auto', 'auto', 'two', 'down'],
    ['edge:b(fits-edge) forward:x(edge-failed)', 'auto', 'auto', 'second', 'up'],
    ['forward:x(edge-full) edge:a(origin-down)', 'auto', 'auto', 'one', 'up', 'full'],
    ['forward:x,y(edge-full) tensors:t(edge-full) edge:a(origin-down)', 'auto', 'auto', 'one', 'mixed', 'full'],
    ['edge:a(origin-down)', 'auto', 'auto', 'one', 'down', 'full'],
    ['forward:x(edge-failed) edge:a(origin-down) edge:b!(origin-down)', 'auto', 'auto', 'two', 'up', 'failed'],
    ['edge:a(origin-down) edge:b!(origin-down)', 'auto', 'auto', 'two', 'down', 'failed'],
    ['forward:x(cost-too-high)', 'auto', 'auto', 'costly', 'up', 'full'],
    ['origin_unavailable', 'auto', 'auto', 'costly', 'down'],
    ['forward:x(cost-too-high) edge:b!(origin-down)', 'auto', 'auto', 'costlyFirst', 'up'],
    ['edge:b!(origin-down)', 'auto', 'auto', 'costlyFirst', 'down'],
    ['forward:x(cost-too-high)', 'auto', 'auto', 'costlyBoth', 'up'],
    ['forward:x(too-large-for-edge)', 'auto', 'auto', 'large', 'up'],
    ['forward:x(only-place)', 'auto', 'auto', 'none', 'up'],
    ['forward:x(only-place)', 'auto', 'auto', 'odd', 'half'],
    ['origin_unavailable', 'auto', 'auto', 'large', 'down'],
    // the model's wish
    ['forward:x(model-prefers-origin)', 'origin', 'auto', 'none', 'up'],
    ['forward:x(model-prefers-origin) edge:a!(origin-down)', 'origin', 'auto', 'one', 'up'],
    ['forward:x(model-prefers-origin) edge:a!(origin-down) edge:b!(origin-down)', 'origin', 'auto', 'two', 'up'],
    ['edge:a!(origin-down)', 'origin', 'auto', 'one', 'down'],
    ['edge:a!(origin-down)', 'origin', 'auto', 'one', 'none'],
    ['edge:a!(origin-down)', 'origin', 'auto', 'costly', 'none'],
    ['edge:b!(origin-down)', 'origin', 'auto', 'costlyFirst', 'down'],
    ['origin_unavailable', 'origin', 'auto', 'costly', 'down'],
    ['origin_unavailable', 'origin', 'auto', 'none', 'none'],
    ['origin_unavailable', 'origin', 'auto', 'large', 'down'],
    ['edge:a(only-place)', 'edge', 'auto', 'one', 'up'],
    ['edge:a(only-place)', 'edge', 'auto', 'one', 'up', 'full'],
    ['edge:a(only-place) edge:b!(edge-failed)', 'edge', 'auto', 'two', 'up'],
    ['model_too_large', 'edge', 'auto', 'large', 'up'],
    // the caller's wish
    ['edge:a(asked-for)', 'auto', 'edge', 'one', 'up', 'full'],
    ['edge:a!(asked-for)', 'origin', 'edge', 'one', 'up'],
    ['placement_impossible', 'auto', 'edge', 'none', 'up'],
    ['placement_impossible', 'auto', 'edge', 'large', 'up'],
    ['model_too_large', 'edge', 'edge', 'large', 'up'],
    ['forward:x(asked-for)', 'auto', 'origin', 'one', 'up'],
    ['forward:x(asked-for)', 'origin', 'origin', 'two', 'half'],
    ['origin_unavailable', 'auto', 'origin', 'one', 'down'],
    ['placement_impossible', 'auto', 'origin', 'one', 'none'],
    ['placement_impossible', 'auto', 'origin', 'one', 'mute'],
    ['placement_impossible', 'edge', 'origin', 'one', 'up'],
    ['placement_impossible', 'edge', 'origin', 'one', 'down'],
  ])(
    '%s: prefers %s, asked for %s, artifacts %s, origins %s, edge %s',
    (wanted, preference, hint, artifacts, origins, state) => {
      const decision = decide(facts({ preference, hint, artifacts, origins, ...(state && { state }) }))
      expect(told(decision)).toBe(wanted)
    },
  )

  it('does not mind that a model could not be loaded while it is', () => {
    const given = facts({ preference: 'auto', hint: 'auto', artifacts: 'one', origins: 'up', state: 'failed' })
    expect(decide({ ...given, edge: { ...given.edge, loaded: true } }).reason).toBe('fits-edge')
    expect(decide({ ...given, edge: { ...given.edge, startable: true } }).reason).toBe('fits-edge')
    expect(decide(given).reason).toBe('edge-failed')
  })

  it('keeps its promises for everything that can be', () => {
    let seen = 0
    for (const current of everything()) {
      const given = facts(current)
      const decision = decide(given)
      const label = JSON.stringify(current)
      const { refusal, steps } = decision
      seen++

      // an answer or a refusal, never both, never neither
      expect(steps.length === 0, label).toBe(refusal !== undefined)
      expect(decision.reason, label).toBe(steps[0]?.reason ?? decision.reason)

      const usable = given.edge.artifacts.filter(({ support }) => support.ok)
      const live = given.origins.filter(
        ({ hasModel, routeSupport, state }) => hasModel && routeSupport !== 'no' && state !== 'down',
      )
      const edge = steps.flatMap((step) => (step.place === 'edge' ? [step] : []))
      const origins = steps.flatMap((step) => (step.place === 'origin' ? step.origins : []))

      // a place that was not asked for, or that the model forbids, is never used
      if (current.hint === 'origin') expect(edge, label).toEqual([])
      if (current.hint === 'edge' || current.preference === 'edge') expect(origins, label).toEqual([])
      // what is used can be used, once
      const names = edge.map(({ artifact }) => artifact)
      for (const name of names)
        expect(
          usable.map(({ id }) => id),
          label,
        ).toContain(name)
      for (const name of origins)
        expect(
          live.map((one) => one.name),
          label,
        ).toContain(name)
      expect(new Set([...names, ...origins]).size, label).toBe(names.length + origins.length)
      // a live origin is never left out where origins are allowed
      if (
        current.hint !== 'edge' &&
        current.preference !== 'edge' &&
        (usable.length === 0 || current.hint === 'origin')
      ) {
        expect([...origins].sort(), label).toEqual(live.map((one) => one.name).sort())
      }
      // only the first usable artifact of a model that may run at the edge is not degraded
      for (const { artifact, degraded } of edge) {
        expect(degraded, label).toBe(current.preference === 'origin' || artifact !== usable[0]?.id)
      }
      // what is refused for a while says for how long, what never works does not
      expect(refusal?.retryAfter, label).toBe(refusal?.code === 'origin_unavailable' ? 7 : undefined)
      expect(explainCandidates(given).length, label).toBe(given.edge.artifacts.length + given.origins.length)
    }
    expect(seen).toBe(3 * 3 * 9 * 8 * 3)
  })

  it('says what it thought of each place', () => {
    const given = facts({ preference: 'auto', hint: 'auto', artifacts: 'second', origins: 'mixed', state: 'full' })
    expect(explainCandidates(given)).toEqual([
      { place: 'edge', artifact: 'big', ok: false, reason: 'too-large-for-edge' },
      { place: 'edge', artifact: 'b', ok: false, reason: 'edge-full' },
      { place: 'origin', name: 't', ok: true, reason: 'up' },
      { place: 'origin', name: 'x', ok: true, reason: 'up' },
      { place: 'origin', name: 'y', ok: true, reason: 'up' },
      { place: 'origin', name: 'z', ok: false, reason: 'origin-down' },
    ])
    const elsewhere = facts({ preference: 'edge', hint: 'auto', artifacts: 'costlyFirst', origins: 'half' })
    expect(explainCandidates(elsewhere)).toEqual([
      { place: 'edge', artifact: 'a', ok: false, reason: 'cost-too-high' },
      { place: 'edge', artifact: 'b', ok: true, reason: 'fits-edge' },
      { place: 'origin', name: 'x', ok: false, reason: 'model-stays-at-edge' },
    ])
  })

  it('tells the caller what to do next', () => {
    const messageOf = (current: Case): string => decide(facts(current)).refusal?.message ?? ''
    expect(messageOf({ preference: 'auto', hint: 'edge', artifacts: 'large', origins: 'up' })).toBe(
      'Model "m" cannot run at the edge: artifact big is too large. Set "auto" or "origin".',
    )
    expect(messageOf({ preference: 'origin', hint: 'auto', artifacts: 'none', origins: 'none' })).toContain('ORIGINS')
    expect(messageOf({ preference: 'origin', hint: 'auto', artifacts: 'none', origins: 'down' })).toContain('Try again')
  })
})

function* everything(): Generator<Case> {
  for (const preference of ['auto', 'edge', 'origin'] as const) {
    for (const hint of ['auto', 'edge', 'origin'] as const) {
      for (const artifacts of Object.keys(ARTIFACTS) as Case['artifacts'][]) {
        for (const origins of Object.keys(ORIGINS) as Case['origins'][]) {
          for (const state of [undefined, 'full', 'failed'] as const) {
            yield { preference, hint, artifacts, origins, ...(state && { state }) }
          }
        }
      }
    }
  }
}
