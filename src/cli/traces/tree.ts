import { counted, printable } from '../terminal/format.ts'
import type { ReceivedSpan } from './otlp.ts'
import type { CollectedTrace } from './trace-book.ts'

/** A span with those below it, in the order in which they began. */
export interface SpanNode {
  readonly span: ReceivedSpan
  readonly below: readonly SpanNode[]
}

interface Line {
  readonly label: string
  readonly time: string
  readonly details: string
}

/** Attributes that the name of a span says already. */
const SAID: ReadonlySet<string> = new Set(['http.request.method', 'http.route', 'url.scheme'])

/**
 * The trees of a trace: of one where all of it has come. A span whose parent is not here is at the top, as the first span is,
 * whose parent is the caller's. Spans that name each other as parents are shown once.
 */
export function treesOf(spans: readonly ReceivedSpan[]): SpanNode[] {
  const known = new Map(spans.map((span) => [span.spanId, span]))
  const children = Map.groupBy(spans, ({ parentId }) => (parentId !== undefined && known.has(parentId) ? parentId : ''))
  const left = new Set(spans)
  const nodeOf = (span: ReceivedSpan): SpanNode => {
    left.delete(span)
    return {
      span,
      below: inOrder(children.get(span.spanId) ?? []).flatMap((each) => (left.has(each) ? [nodeOf(each)] : [])),
    }
  }
  const trees = inOrder(children.get('') ?? []).map(nodeOf)
  for (const span of inOrder(spans)) if (left.has(span)) trees.push(nodeOf(span))
  return trees
}

/** A trace as a tree of text, with durations. */
export function renderTrace({ again, spans, traceId }: CollectedTrace): string {
  const services = [...new Set(spans.map(({ service }) => service))]
  const lines = treesOf(spans).flatMap((tree) => linesOf(tree, undefined, '', ''))
  const [labels, times] = [lines.map(({ label }) => label.length), lines.map(({ time }) => time.length)].map(
    (lengths) => Math.max(0, ...lengths),
  ) as [number, number]
  const head = `trace ${traceId}  ${counted(spans.length, 'span')} of ${services.map(printable).join(', ')}${again ? ' (complete now)' : ''}`
  return [
    head,
    ...lines.map(({ details, label, time }) =>
      `${label.padEnd(labels)}  ${time.padStart(times)}  ${details}`.trimEnd(),
    ),
  ].join('\n')
}

/** @param service of the span above; another one is named */
function linesOf({ below, span }: SpanNode, service: string | undefined, first: string, further: string): Line[] {
  const own: Line = { label: first + printable(span.name), time: milliseconds(span), details: detailsOf(span, service) }
  return [
    own,
    ...below.flatMap((node, index) => {
      const last = index === below.length - 1
      return linesOf(node, span.service, `${further}${last ? '└─ ' : '├─ '}`, `${further}${last ? '   ' : '│  '}`)
    }),
  ]
}

function detailsOf(span: ReceivedSpan, service: string | undefined): string {
  const said = Object.entries(span.attributes)
    .filter(([name]) => !SAID.has(name))
    .map(([name, value]) => `${name.replace(/^verge\./, '')}=${shown(value)}`)
  const moments = span.events.map(({ at, name }) => `${name} after ${milliseconds({ from: span.from, to: at })}`)
  return [
    ...(span.service === service ? [] : [`[${span.service}]`]),
    ...(span.failed ? ['FAILED'] : []),
    ...said,
    ...moments,
  ]
    .map(printable)
    .join(' ')
}

function shown(value: string | number | boolean): string {
  return typeof value === 'number' ? String(Math.round(value * 100) / 100) : String(value)
}

function milliseconds({ from, to }: Pick<ReceivedSpan, 'from' | 'to'>): string {
  return `${(Number(to - from) / 1e6).toFixed(1)} ms`
}

function inOrder(spans: readonly ReceivedSpan[]): ReceivedSpan[] {
  return [...spans].sort((one, other) => (one.from < other.from ? -1 : one.from > other.from ? 1 : 0))
}
