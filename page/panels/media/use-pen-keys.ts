import { useState } from 'preact/hooks'
import type { Point, Stroke } from '../../media/digit-strokes.ts'

export interface Pen {
  readonly at: Point
  /** Whether the keyboard moves it at the moment. */
  readonly shown: boolean
}

export interface PenKeys extends Pen {
  /** What is being drawn; undefined while the pen is lifted. */
  readonly line: Stroke | undefined
  /** The state in words, for screen readers. */
  readonly said: string
  readonly onKeyDown: (event: KeyboardEvent) => void
  readonly onBlur: () => void
}

const STEP = 1 / 28
const MOVES: Readonly<Record<string, Point>> = {
  ArrowLeft: { x: -STEP, y: 0 },
  ArrowRight: { x: STEP, y: 0 },
  ArrowUp: { x: 0, y: -STEP },
  ArrowDown: { x: 0, y: STEP },
}

/** A pen for the arrow keys; the space bar puts it down and lifts it. @param onLine gets each line that is finished */
export function usePenKeys(onLine: (line: Stroke) => void): PenKeys {
  const [at, setAt] = useState<Point>({ x: 0.5, y: 0.25 })
  const [line, setLine] = useState<Stroke>()
  const [shown, setShown] = useState(false)
  const lift = (): void => {
    if (line !== undefined) onLine(line)
    setLine(undefined)
  }
  const onKeyDown = (event: KeyboardEvent): void => {
    const move = MOVES[event.key]
    if (event.key === ' ') {
      event.preventDefault()
      setShown(true)
      if (line === undefined) setLine([at])
      else lift()
    } else if (move !== undefined) {
      event.preventDefault()
      setShown(true)
      const next = { x: within(at.x + move.x), y: within(at.y + move.y) }
      setAt(next)
      if (line !== undefined) setLine([...line, next])
    }
  }
  const onBlur = (): void => {
    lift()
    setShown(false)
  }
  const place = `${Math.round(at.x * 28)} from the left, ${Math.round(at.y * 28)} from the top`
  const said = shown ? `The pen is ${line === undefined ? 'lifted' : 'down'}, ${place}.` : ''
  return { at, line, shown, said, onKeyDown, onBlur }
}

function within(value: number): number {
  return Math.min(0.95, Math.max(0.05, value))
}
