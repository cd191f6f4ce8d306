import { useEffect, useRef, useState } from 'preact/hooks'
import { digitStrokes, hasInk, type Point, type Stroke, smoothed } from '../../media/digit-strokes.ts'
import { canvasBlob } from '../../media/load-picture.ts'
import { Button } from '../../ui/index.ts'
import { type Pen, usePenKeys } from './use-pen-keys.ts'
import './media.css'
import './pad.css'

/** Pixels of a side: enough for a smooth line, and a request of a few kilobytes. */
const SIDE = 280
const PEN = 22 / SIDE

export interface DrawingPadProps {
  readonly strokes: readonly Stroke[]
  readonly onStrokes: (strokes: readonly Stroke[]) => void
  /** Gets the drawing as a PNG whenever a line is finished; undefined while there is none. */
  readonly onPicture: (png: Blob | undefined) => void
}

/** Paper to draw a digit on: by mouse, pen or finger, by the arrow keys, or by one of ten digits that are drawn already. */
export function DrawingPad({ onPicture, onStrokes, strokes }: DrawingPadProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [line, setLine] = useState<Stroke>()
  const pen = usePenKeys((stroke) => onStrokes([...strokes, stroke]))

  useEffect(() => {
    const context = canvas.current?.getContext('2d')
    if (context) draw(context, [...strokes, line ?? pen.line ?? []], { at: pen.at, shown: pen.shown })
  }, [strokes, line, pen.line, pen.at, pen.shown])

  useEffect(() => {
    let gone = false
    const paper = document.createElement('canvas')
    paper.width = SIDE
    paper.height = SIDE
    const context = paper.getContext('2d')
    if (context === null || !hasInk(strokes)) onPicture(undefined)
    else {
      draw(context, strokes)
      void canvasBlob(paper).then((png) => {
        if (!gone) onPicture(png)
      })
    }
    return () => {
      gone = true
    }
  }, [strokes, onPicture])

  const finish = (): void => {
    if (line !== undefined) onStrokes([...strokes, line])
    setLine(undefined)
  }
  return (
    <div class="pad">
      <div
        class="pad-frame"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys draw on it
        tabIndex={0}
        role="application"
        aria-label={`Paper, ${strokes.length === 1 ? '1 line' : `${strokes.length} lines`} drawn`}
        aria-describedby="pad-help"
        onKeyDown={pen.onKeyDown}
        onBlur={pen.onBlur}
      >
        <canvas
          ref={canvas}
          class="pad-paper"
          width={SIDE}
          height={SIDE}
          onPointerDown={(event) => {
            event.currentTarget.setPointerCapture(event.pointerId)
            setLine([pointOf(event)])
          }}
          onPointerMove={(event) => line !== undefined && setLine([...line, pointOf(event)])}
          onPointerUp={finish}
          onPointerCancel={finish}
        />
      </div>
      <div class="pad-side">
        <p class="media-hint" id="pad-help">
          Draw a digit. With the keyboard: the space bar puts the pen down and lifts it, the arrow keys move it.
        </p>
        <div class="media-actions">
          <Button disabled={strokes.length === 0} onClick={() => onStrokes(strokes.slice(0, -1))}>
            Undo
          </Button>
          <Button disabled={strokes.length === 0} onClick={() => onStrokes([])}>
            Clear
          </Button>
        </div>
        <fieldset class="pad-digits">
          <legend>Or take a drawn digit</legend>
          {Array.from({ length: 10 }, (_, digit) => (
            <button
              type="button"
              class="button pad-digit"
              key={`${digit}`}
              aria-label={`Draw a ${digit}`}
              onClick={() => onStrokes(digitStrokes(digit))}
            >
              {digit}
            </button>
          ))}
        </fieldset>
        <p class="media-facts" role="status">
          {pen.said}
        </p>
      </div>
    </div>
  )
}

function pointOf(event: PointerEvent & { readonly currentTarget: HTMLCanvasElement }): Point {
  const { height, left, top, width } = event.currentTarget.getBoundingClientRect()
  return { x: (event.clientX - left) / width, y: (event.clientY - top) / height }
}

/** Dark ink on white paper, in the colours that the model gets. */
function draw(context: CanvasRenderingContext2D, strokes: readonly Stroke[], pen?: Pen): void {
  context.fillStyle = '#ffffff'
  context.fillRect(0, 0, SIDE, SIDE)
  context.strokeStyle = '#111111'
  context.lineWidth = PEN * SIDE
  context.lineCap = 'round'
  context.lineJoin = 'round'
  for (const stroke of strokes) {
    const curve = smoothed(stroke)
    if (curve === undefined) continue
    context.beginPath()
    context.moveTo(curve.start.x * SIDE, curve.start.y * SIDE)
    for (const part of curve.parts) {
      const { x, y } = part.to
      if ('bend' in part) context.quadraticCurveTo(part.bend.x * SIDE, part.bend.y * SIDE, x * SIDE, y * SIDE)
      else context.lineTo(x * SIDE, y * SIDE)
    }
    context.stroke()
  }
  if (pen?.shown !== true) return
  context.beginPath()
  context.arc(pen.at.x * SIDE, pen.at.y * SIDE, (PEN * SIDE) / 2, 0, 2 * Math.PI)
  context.lineWidth = 2
  context.strokeStyle = '#1f5fbf'
  context.stroke()
}
