import { percentage } from '../../media/percentage.ts'
import { type Segment, segmentAt } from '../../media/timeline.ts'
import type { Player } from './use-player.ts'

/** Parts of a sound, each of which can be listened to. */
export function Segments({ player, segments }: { readonly segments: readonly Segment[]; readonly player: Player }) {
  const current = segmentAt(segments, player.time)
  return (
    <ol class="segments" aria-label="Speech">
      {segments.map(({ end, score, start }, i) => (
        <li key={`${i}`}>
          <button
            type="button"
            class={i === current ? 'finding finding-active' : 'finding'}
            onClick={() => player.playPart(start, end)}
          >
            <span class="finding-label">{`${start.toFixed(2)} s to ${end.toFixed(2)} s`}</span>
            <span class="finding-score">{percentage(score)}</span>
            <span class="finding-place">{`${(end - start).toFixed(2)} seconds; press to listen`}</span>
          </button>
        </li>
      ))}
    </ol>
  )
}
