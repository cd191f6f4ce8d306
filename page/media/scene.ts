/** A small picture that is drawn here, so that picture models have an example: a house, a sun, a tree and a face. */
import { canvasBlob } from './load-picture.ts'

const WIDTH = 480
const HEIGHT = 320

/** Undefined where the browser cannot draw. */
export async function scenePicture(): Promise<Blob | undefined> {
  const canvas = document.createElement('canvas')
  canvas.width = WIDTH
  canvas.height = HEIGHT
  const pen = canvas.getContext('2d')
  if (pen === null) return undefined
  ground(pen)
  house(pen)
  tree(pen)
  person(pen)
  return canvasBlob(canvas)
}

type Pen = CanvasRenderingContext2D

function ground(pen: Pen): void {
  const sky = pen.createLinearGradient(0, 0, 0, 220)
  sky.addColorStop(0, '#7db4e6')
  sky.addColorStop(1, '#dcecf7')
  pen.fillStyle = sky
  pen.fillRect(0, 0, WIDTH, HEIGHT)
  disc(pen, 80, 62, 30, '#f6c945')
  const grass = pen.createLinearGradient(0, 210, 0, HEIGHT)
  grass.addColorStop(0, '#8fb56a')
  grass.addColorStop(1, '#5d8a45')
  pen.fillStyle = grass
  pen.fillRect(0, 215, WIDTH, HEIGHT - 215)
}

function house(pen: Pen): void {
  polygon(pen, '#d9c3a0', [40, 140, 200, 140, 200, 250, 40, 250])
  polygon(pen, '#9c4a36', [28, 142, 120, 82, 212, 142])
  polygon(pen, '#6b4a33', [104, 190, 136, 190, 136, 250, 104, 250])
  polygon(pen, '#5c7f9c', [58, 168, 90, 168, 90, 200, 58, 200])
  polygon(pen, '#5c7f9c', [150, 168, 182, 168, 182, 200, 150, 200])
}

function tree(pen: Pen): void {
  polygon(pen, '#6f4e37', [246, 180, 260, 180, 264, 262, 242, 262])
  disc(pen, 253, 158, 34, '#47743a')
  disc(pen, 232, 172, 24, '#4f7f41')
  disc(pen, 275, 172, 24, '#3f6a33')
}

function person(pen: Pen): void {
  polygon(pen, '#34507a', [318, 320, 330, 262, 372, 246, 414, 262, 426, 320])
  polygon(pen, '#d9a384', [360, 226, 384, 226, 386, 256, 358, 256])
  pen.fillStyle = '#3b2a20'
  ellipse(pen, 372, 172, 52, 60)
  pen.fillStyle = '#e6b594'
  ellipse(pen, 372, 184, 42, 52)
  pen.fillStyle = '#ffffff'
  ellipse(pen, 356, 176, 8, 5)
  ellipse(pen, 388, 176, 8, 5)
  disc(pen, 356, 176, 4, '#33261d')
  disc(pen, 388, 176, 4, '#33261d')
  line(pen, '#4a3527', 4, [346, 164, 356, 160, 366, 163])
  line(pen, '#4a3527', 4, [378, 163, 388, 160, 398, 164])
  line(pen, '#b9805f', 3, [372, 180, 367, 198, 376, 199])
  pen.strokeStyle = '#9c3f3c'
  pen.lineWidth = 5
  pen.beginPath()
  pen.ellipse(372, 209, 18, 12, 0, 0.15 * Math.PI, 0.85 * Math.PI)
  pen.stroke()
}

function disc(pen: Pen, x: number, y: number, radius: number, colour: string): void {
  pen.fillStyle = colour
  ellipse(pen, x, y, radius, radius)
}

function ellipse(pen: Pen, x: number, y: number, across: number, down: number): void {
  pen.beginPath()
  pen.ellipse(x, y, across, down, 0, 0, 2 * Math.PI)
  pen.fill()
}

function polygon(pen: Pen, colour: string, corners: readonly number[]): void {
  pen.fillStyle = colour
  path(pen, corners)
  pen.fill()
}

function line(pen: Pen, colour: string, width: number, points: readonly number[]): void {
  pen.strokeStyle = colour
  pen.lineWidth = width
  pen.lineCap = 'round'
  pen.lineJoin = 'round'
  path(pen, points)
  pen.stroke()
}

/** @param points x and y in turn */
function path(pen: Pen, points: readonly number[]): void {
  pen.beginPath()
  for (let i = 0; i + 1 < points.length; i += 2) pen.lineTo(points[i] ?? 0, points[i + 1] ?? 0)
}
