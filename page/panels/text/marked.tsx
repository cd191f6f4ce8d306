import { percentage } from '../../media/percentage.ts'
import { piecesOf, type Span } from './marks.ts'

interface Props {
  readonly text: string
  readonly spans: readonly Span[]
  /** Kinds in the order in which they get colours. */
  readonly labels: readonly string[]
}

/** Colours of series in page/style/tokens.css. */
const COLOURS = 5

/** A text whose spans are marked, with their labels beside them as text: colour alone says nothing. */
export function MarkedText({ labels, spans, text }: Props) {
  return (
    <p class="marked">
      {piecesOf(text, spans).map(({ span, text }, index) => {
        const key = `${index} ${text}`
        if (span === undefined) return <span key={key}>{text}</span>
        const series = (Math.max(0, labels.indexOf(span.label)) % COLOURS) + 1
        return (
          <mark key={key} class={`marked-span marked-${series}`} title={`${span.label}, ${percentage(span.score)}`}>
            {text}
            {span.label !== '' && <span class="marked-label">{span.label}</span>}
          </mark>
        )
      })}
    </p>
  )
}
