import * as z from 'zod'
import { encodeJpeg } from '../../synthetic/node/jpeg.ts'
import { seededFloats } from '../../synthetic/onnx.ts'
import { ask, connected } from '../lib/worker-client.ts'
import { startWorker } from '../lib/worker-process.ts'
import { type EngineShare, pictureRequest, type Sample, sample, shares } from './tasks.ts'

export const PICTURE_SIDE = 512
const WARM_UP_RUNS = 15
const QUALITY = 85

/** Where the time of a segmentation goes, and how many masks it answers in how many bytes. */
export interface SegmentationFigures {
  readonly masks: EngineShare & { readonly count: number; readonly bytes: number }
  readonly map: EngineShare & { readonly count: number; readonly bytes: number }
}

const masksSchema = z.array(z.object({ mask: z.string() }))
const mapSchema = z.object({ segments: z.array(z.unknown()) })

/** @param directory bundle of the Worker that tells its own time */
export async function measureSegmentation(
  directory: string,
  model: string,
  rounds: number,
): Promise<SegmentationFigures> {
  const jpeg = await encodeJpeg(patches(PICTURE_SIDE), { quality: QUALITY, progressive: false })
  const worker = await startWorker(directory)
  try {
    return await connected(worker, async (connection) => {
      const [masks, map] = ['', '?format=map'].map((query) => pictureRequest(model, jpeg, query)) as [Buffer, Buffer]
      for (let run = 0; run < WARM_UP_RUNS; run++) {
        await ask(connection, masks)
        await ask(connection, map)
      }
      const all: Record<'masks' | 'map', Sample[]> = { masks: [], map: [] }
      for (let round = 0; round < rounds; round++) {
        all.masks.push(await sample(connection, masks))
        all.map.push(await sample(connection, map))
      }
      const separate = (await ask(connection, masks)).body
      const together = (await ask(connection, map)).body
      const count = masksSchema.parse(JSON.parse(separate.toString())).length
      const segments = mapSchema.parse(JSON.parse(together.toString())).segments.length
      return {
        masks: { ...shares(all.masks), count, bytes: separate.length },
        map: { ...shares(all.map), count: segments, bytes: together.length },
      }
    })
  } finally {
    await worker.stop()
  }
}

/** Patches of 64 x 64 in many colours, so that several classes win. */
function patches(side: number): { readonly width: number; readonly height: number; readonly data: Uint8ClampedArray } {
  const noise = seededFloats((side / 64) ** 2, 3)
  const data = new Uint8ClampedArray(4 * side * side)
  for (let i = 0; i < side * side; i++) {
    const [x, y] = [i % side, Math.floor(i / side)]
    const patch = noise[Math.floor(x / 64) + (side / 64) * Math.floor(y / 64)] ?? 0
    const colour = [128 + 100 * patch, 128 + 60 * Math.sin(x / 40) * patch, 128 + 90 * Math.cos(y / 30), 255]
    data.set(colour, 4 * i)
  }
  return { width: side, height: side, data }
}
