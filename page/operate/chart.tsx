import { bars, HEIGHT, WIDTH } from './chart-bars.ts'
import { clock } from './clock.ts'
import { count } from './words.ts'

interface Props {
  readonly title: string
  /** Oldest first. */
  readonly points: readonly { readonly at: string; readonly value: number }[]
  readonly kind?: 'plain' | 'bad'
}

/** A bar for each minute. Screen readers are told the largest and the newest; a table beside it has all of them. */
export function Chart({ kind = 'plain', points, title }: Props) {
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined) return null
  const largest = Math.max(...points.map(({ value }) => value))
  const said = `From ${clock(first.at)} to ${clock(last.at)}: ${count(largest)} at most, ${count(last.value)} in the minute that is not over yet.`
  return (
    <figure class="operate-chart">
      <figcaption>
        <span>{title}</span>
        <span class="operate-small">at most {count(largest)}</span>
      </figcaption>
      <svg
        role="img"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        class={kind === 'bad' ? 'operate-bars operate-bars-bad' : 'operate-bars'}
      >
        <title>{`${title}. ${said}`}</title>
        {bars(points.map(({ value }) => value)).map(({ height, width, x, y }, i) => (
          <rect key={points[i]?.at} x={x} y={y} width={width} height={height}>
            <title>{`${clock(points[i]?.at ?? '')}: ${count(points[i]?.value ?? 0)}`}</title>
          </rect>
        ))}
      </svg>
      <p class="operate-axis" aria-hidden="true">
        <span>{clock(first.at)}</span>
        <span>{clock(last.at)}</span>
      </p>
    </figure>
  )
}
