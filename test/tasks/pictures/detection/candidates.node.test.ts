/** What is left out of overlapping boxes, beside ONNX's own operator. */
import { expect, it } from 'vitest'
import { referenceSession } from '../../../../src/cli/verify/reference.ts'
import { tensor } from '../../../../src/core/tensors.ts'
import { suppressed } from '../../../../src/tasks/pictures/detection/candidates.ts'
import { onnxModel, seededFloats } from '../../../../synthetic/onnx.ts'

const CLASSES = 4
const BOXES = 400

const model = onnxModel({
  inputs: [
    { name: 'boxes', datatype: 'FP32', shape: [1, 'n', 4] },
    { name: 'scores', datatype: 'FP32', shape: [1, 'c', 'n'] },
    { name: 'iou', datatype: 'FP32', shape: [] },
  ],
  outputs: [{ name: 'selected', datatype: 'INT64', shape: ['k', 3] }],
  nodes: [{ op: 'NonMaxSuppression', inputs: ['boxes', 'scores', 'most', 'iou', 'least'], outputs: ['selected'] }],
  initializers: {
    most: tensor('INT64', [1], BigInt64Array.of(10_000n)),
    least: tensor('FP32', [1], Float32Array.of(0.25)),
  },
})

const shares = (count: number, seed: number): number[] =>
  Array.from(seededFloats(count, seed), (value) => Math.abs(value * 100_000) % 1)

it.each([
  [0.3, 1],
  [0.45, 2],
  [0.7, 3],
  [0, 4],
])("leaves the same boxes out as onnxruntime-node's NonMaxSuppression, above %f", async (iou, seed) => {
  const [x, y, w, h] = [1, 2, 3, 4].map((k) => shares(BOXES, seed * 10 + k))
  // In quarters of a pixel, whose areas are exact in either precision: no overlap is right at the edge by rounding alone.
  const quarter = (value: number): number => Math.round(value * 4) / 4
  const corners = Array.from({ length: BOXES }, (_, i) => {
    const [left, top] = [quarter((x?.[i] ?? 0) * 60), quarter((y?.[i] ?? 0) * 60)]
    return [top, left, top + 1 + quarter((h?.[i] ?? 0) * 30), left + 1 + quarter((w?.[i] ?? 0) * 30)]
  })
  const scores = shares(BOXES * CLASSES, seed * 10 + 5).map(Math.fround)
  const session = await referenceSession(model, new AbortController().signal)
  const outputs = await session.run(
    new Map([
      ['boxes', tensor('FP32', [1, BOXES, 4], Float32Array.from(corners.flat()))],
      ['scores', tensor('FP32', [1, CLASSES, BOXES], Float32Array.from(scores))],
      ['iou', tensor('FP32', [], Float32Array.of(iou))],
    ]),
    { signal: new AbortController().signal },
  )
  session.dispose()
  const selected = Array.from(outputs.get('selected')?.data as BigInt64Array, Number)
  const expected = new Set<string>()
  for (let i = 0; i < selected.length; i += 3) expected.add(`${selected[i + 1]} ${selected[i + 2]}`)

  const candidates = scores
    .map((score, i) => {
      const [ymin = 0, xmin = 0, ymax = 0, xmax = 0] = corners[i % BOXES] ?? []
      return { row: i % BOXES, label: Math.floor(i / BOXES), score, xmin, ymin, xmax, ymax }
    })
    .filter(({ score }) => score > 0.25)
    .sort((a, b) => b.score - a.score)
  const own = suppressed(candidates, Math.fround(iou), 10_000).map(({ row, label }) => `${label} ${row}`)
  expect(expected.size).toBeGreaterThan(20)
  expect(expected.size).toBeLessThan(candidates.length)
  expect(new Set(own)).toEqual(expected)
})
