import { useMemo } from 'preact/hooks'
import type { Speech } from '../../media/answers.ts'
import type { Sound } from '../../media/load-sound.ts'
import { clockSeconds, clockTime, marks, placeSpan, segmentAt, spokenTime } from '../../media/timeline.ts'
import { peaks } from '../../media/wav.ts'
import { Button } from '../../ui/index.ts'
import type { Player } from './use-player.ts'
import './sound.css'

/** Columns of the drawn sound. */
const COLUMNS = 400
/** Silence is a line, too. */
const LEAST = 0.01
const MOST_MARKS = 5
/** Seconds of an arrow key, and of a page key. */
const STEP = 0.1
const LEAP = 1

export interface TimelineProps {
  readonly sound: Sound
  /** What was found in it; undefined before there is an answer. */
  readonly speech?: Speech | undefined
  /** Of the sound. */
  readonly player: Player
}

/** A sound over time, with the parts that have speech. It can be played from anywhere, by pointer and by keyboard. */
export function Timeline({ player, sound, speech }: TimelineProps) {
  const { seconds } = sound
  const { time } = player
  const segments = speech?.segments ?? []
  const current = segmentAt(segments, time)
  const seek = (to: number): void => player.seek(Math.min(seconds, Math.max(0, to)))
  return (
    <div class="timeline">
      <div class="media-actions">
        <Button onClick={player.toggle}>{player.playing ? 'Pause' : 'Play'}</Button>
        <span class="timeline-time">{`${clockTime(time)} of ${clockTime(seconds)}`}</span>
      </div>
      <div
        class="timeline-track"
        role="slider"
        tabIndex={0}
        aria-label="Place in the sound"
        aria-valuemin={0}
        aria-valuemax={Math.round(seconds * 10) / 10}
        aria-valuenow={Math.round(time * 10) / 10}
        aria-valuetext={`${spokenTime(time)}${current >= 0 ? ', speech' : ''}`}
        onPointerDown={(event) => {
          const { left, width } = event.currentTarget.getBoundingClientRect()
          seek(((event.clientX - left) / width) * seconds)
        }}
        onKeyDown={(event) => {
          const to = placeOfKey(event.key, time, seconds)
          if (event.key === ' ') player.toggle()
          else if (to === undefined) return
          else seek(to)
          event.preventDefault()
        }}
      >
        {segments.map((segment, i) => {
          const { left, width } = placeSpan(segment, seconds)
          return (
            <span
              key={`${i}`}
              class={i === current ? 'timeline-speech timeline-speech-now' : 'timeline-speech'}
              style={{ left: `${left}%`, width: `${width}%` }}
            />
          )
        })}
        <Wave samples={sound.samples} />
        {speech?.probabilities !== undefined && <Curve speech={speech} seconds={seconds} />}
        <span class="timeline-now" style={{ left: `${placeSpan({ start: 0, end: time }, seconds).width}%` }} />
      </div>
      <div class="timeline-marks" aria-hidden="true">
        {marks(seconds, MOST_MARKS).map((mark) => {
          const left = placeSpan({ start: 0, end: mark }, seconds).width
          return (
            // One at the end would stand out of the page of a phone.
            <span key={mark} class={left > 95 ? 'timeline-end' : undefined} style={{ left: `${left}%` }}>
              {clockSeconds(mark)}
            </span>
          )
        })}
      </div>
      {player.problem !== undefined && <p role="alert">{player.problem}</p>}
    </div>
  )
}

function placeOfKey(key: string, time: number, seconds: number): number | undefined {
  switch (key) {
    case 'ArrowLeft':
    case 'ArrowDown':
      return time - STEP
    case 'ArrowRight':
    case 'ArrowUp':
      return time + STEP
    case 'PageDown':
      return time - LEAP
    case 'PageUp':
      return time + LEAP
    case 'Home':
      return 0
    case 'End':
      return seconds
    default:
      return undefined
  }
}

function Wave({ samples }: { readonly samples: Float32Array }) {
  const path = useMemo(() => {
    const levels = Array.from(peaks(samples, COLUMNS), (level) => Math.max(LEAST, level).toFixed(3))
    const above = levels.map((level, i) => `L${i + 0.5} -${level}`)
    const below = levels.map((level, i) => `L${i + 0.5} ${level}`).reverse()
    return `M0 0${above.join('')}L${COLUMNS} 0${below.join('')}Z`
  }, [samples])
  return (
    <svg class="timeline-wave" viewBox={`0 -1 ${COLUMNS} 2`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} />
    </svg>
  )
}

/** The probability of speech of each window, from the bottom to the top. */
function Curve({ seconds, speech }: { readonly speech: Speech; readonly seconds: number }) {
  const { probabilities = [], window = 0 } = speech
  const points = probabilities.map((value, i) => `${((i + 0.5) * window).toFixed(3)},${(1 - value).toFixed(3)}`)
  return (
    <svg class="timeline-curve" viewBox={`0 0 ${seconds} 1`} preserveAspectRatio="none" aria-hidden="true">
      <polyline points={points.join(' ')} vector-effect="non-scaling-stroke" />
    </svg>
  )
}
