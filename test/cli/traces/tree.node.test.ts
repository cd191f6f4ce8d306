import { describe, expect, it } from 'vitest'
import type { ReceivedSpan } from '../../../src/cli/traces/otlp.ts'
import { renderTrace, type SpanNode, treesOf } from '../../../src/cli/traces/tree.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'

function span(spanId: string, parentId: string | undefined, more: Partial<ReceivedSpan> = {}): ReceivedSpan {
  return {
    ...{ traceId, spanId, parentId, name: spanId, service: 'verge', from: 1_000_000n, to: 3_500_000n },
    ...{ failed: false, attributes: {}, events: [], ...more },
  }
}

describe('renderTrace', () => {
  it('shows a tree in the order of time, and names another service where it begins', () => {
    const spans = [
      span('queue', 'run', { service: 'fra', to: 1_100_000n }),
      span('later', 'root', { from: 2_000_000n }),
      span('run', 'origin', {
        service: 'fra',
        attributes: { 'verge.units': 1.23456, 'http.route': '/run/:model' },
        events: [{ name: 'first_token', at: 2_200_000n }],
      }),
      span('root', 'of-the-caller'),
      span('origin', 'root', { failed: true, attributes: { 'error.type': 'origin_failed' } }),
    ]
    expect(renderTrace({ traceId, spans, again: false }).split('\n')).toEqual([
      `trace ${traceId}  5 spans of fra, verge`,
      'root            2.5 ms  [verge]',
      '├─ origin       2.5 ms  FAILED error.type=origin_failed',
      '│  └─ run       2.5 ms  [fra] units=1.23 first_token after 1.2 ms',
      '│     └─ queue  0.1 ms',
      '└─ later        1.5 ms',
    ])
  })

  it('lets no name write on the terminal', () => {
    const spans = [
      span('root', undefined, { name: 'a\u001b[2J\nb', service: '\u0007', attributes: { 'x\u001b': '\u001b' } }),
    ]
    const text = renderTrace({ traceId, spans, again: false })
    for (const control of ['\u0007', '\u001b']) expect(text).not.toContain(control)
    expect(text.split('\n')).toHaveLength(2)
  })
})

describe('treesOf', () => {
  it('shows spans without an end of parents once', () => {
    const spans = [span('a', 'b'), span('b', 'a'), span('c', 'c')]
    const all = (nodes: readonly SpanNode[]): string[] =>
      nodes.flatMap((node) => [node.span.spanId, ...all(node.below)])
    expect(all(treesOf(spans)).sort()).toEqual(['a', 'b', 'c'])
  })
})
