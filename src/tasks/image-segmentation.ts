import * as z from 'zod'
import type { Manifest } from '../catalog/manifest.ts'
import { type SegmentationSettings, SUBTASKS, type Subtask } from '../catalog/settings/segmentation.ts'
import { VergeError } from '../core/errors.ts'
import type { Limits } from '../core/limits.ts'
import type { Tensors } from '../core/tensors.ts'
import { StepMeter, type Work } from '../core/work.ts'
import { base64FromBytes } from '../media/base64.ts'
import { axisOf } from '../media/image/axis.ts'
import { NO_LABEL } from '../media/image/mask-runs.ts'
import { refuseMap } from '../media/image/planes.ts'
import { encodePng } from '../media/image/png-encode.ts'
import { EXAMPLE_PNG, IMAGE_TYPES, imageRequestSchema, readImageRequest } from './pictures/input.ts'
import { classPlanes, queryOutputs } from './pictures/maps/dense-output.ts'
import { type MapFrame, readForMap, targetSize } from './pictures/maps/map.ts'
import { matting } from './pictures/maps/matte.ts'
import {
  checkMasks,
  type IndexedMap,
  indexing,
  mapAnswer,
  masksOf,
  type Segments,
  segmentsSchema,
} from './pictures/maps/segment-answers.ts'
import {
  chosenSegments,
  instanceSegments,
  panopticSegments,
  type SegmentMap,
  semanticOfQueries,
  semanticSegments,
} from './pictures/maps/segments.ts'
import { type BoundTask, performed } from './task.ts'

/** From this level of transparency on, a pixel is of a segment; and steps (docs/limits.md) of one that is looked at. */
const HALF = 127
const LEVEL = 3

const share = z.number().min(0).max(1).optional()

const parametersSchema = z
  .strictObject({
    subtask: z
      .enum(SUBTASKS)
      .optional()
      .meta({ description: 'What is answered; by default what the model is made for' }),
    threshold: share.meta({ description: 'Minimum score of an answered segment' }),
    mask_threshold: share.meta({ description: 'From this probability on a pixel belongs to a segment' }),
    overlap_mask_area_threshold: share.meta({
      description: 'A segment is left out of which less than this share is not covered by others',
    }),
    format: z
      .enum(['masks', 'map'])
      .optional()
      .meta({ description: 'A mask for each segment (default), or one map of all' }),
    target_size: targetSize,
  })
  .meta({ id: 'ImageSegmentationParameters' })
type Parameters = z.infer<typeof parametersSchema>

/** What each pixel of a picture belongs to: classes, things, or both. */
export function imageSegmentation(limits: Limits): BoundTask {
  return {
    name: 'image-segmentation',
    mediaTypes: IMAGE_TYPES,
    request: imageRequestSchema(parametersSchema, 'ImageSegmentationRequest'),
    response: segmentsSchema,
    example: { inputs: EXAMPLE_PNG },

    async execute(body, model, run): Promise<Segments> {
      const { manifest } = model
      const { bytes, parameters } = readImageRequest(body, parametersSchema, limits)
      const settings = settingsOf(manifest)
      const subtask = subtaskOf(settings, parameters, manifest)
      const asMap = parameters.format === 'map'
      const most = mostSegments(settings, manifest)
      const frame = await readForMap(model, bytes, parameters.target_size, limits, (width, height) => {
        if (!asMap) checkMasks(width, height, most, limits)
      })
      const outputs = await run(frame.inputs)
      const meter = new StepMeter(limits.decodeSteps)
      if (settings.head === 'classes' && manifest.labels?.length === 1) {
        const work = matting(
          outputs,
          { activation: 'auto', normalize: false, output: settings.scoresOutput },
          frame,
          manifest,
          meter,
        )
        const data = await performed(model, work, meter)
        const { width, height } = frame
        if (asMap) {
          const indexed = (function* (): Work<IndexedMap> {
            return yield* indexing(yield* segmentOf(data, meter), frame, manifest, meter)
          })()
          return mapAnswer(await performed(model, indexed, meter), frame)
        }
        const mask = base64FromBytes(await encodePng({ width, height, channels: 1, data }))
        return [{ label: manifest.labels[0] ?? '', mask }]
      }
      const segmented = segmenting(outputs, { settings, subtask, parameters, frame, manifest, meter })
      if (!asMap) {
        return performed(
          model,
          (function* (): Work<Segments> {
            return yield* masksOf(yield* segmented, frame, manifest, limits, meter)
          })(),
          meter,
        )
      }
      const work = (function* (): Work<IndexedMap> {
        return yield* indexing(yield* segmented, frame, manifest, meter)
      })()
      return mapAnswer(await performed(model, work, meter), frame)
    },
  }
}

/** Of a model of one class: where it is more likely than not. */
function* segmentOf(levels: Uint8Array, meter: StepMeter): Work<SegmentMap> {
  meter.spend(levels.length * LEVEL, refuseMap)
  yield meter.piece()
  const map = new Uint16Array(levels.length)
  for (let i = 0; i < levels.length; i++) map[i] = (levels[i] ?? 0) > HALF ? 0 : NO_LABEL
  return { map, segments: [{ label: 0 }] }
}

function settingsOf({ segmentation, model, version }: Manifest): SegmentationSettings {
  if (segmentation !== undefined) return segmentation
  throw new VergeError(
    'manifest_invalid',
    `Model "${model}" version "${version}" has no segmentation settings. Set "postprocess.segmentation" in its verge.json and push it again.`,
  )
}

function subtaskOf({ head, subtask }: SegmentationSettings, asked: Parameters, { model }: Manifest): Subtask {
  const wanted = asked.subtask ?? subtask ?? (head === 'classes' ? 'semantic' : 'panoptic')
  if (head === 'queries' || wanted === 'semantic') return wanted
  throw new VergeError(
    'invalid_request',
    `Model "${model}" tells classes apart, not things: it does no ${wanted} segmentation. Set "parameters.subtask" to "semantic", or leave it out.`,
    { details: { field: 'parameters.subtask' } },
  )
}

/** Segments of an answer at most, as far as the manifest tells. */
function mostSegments({ head, masksOutput }: SegmentationSettings, { labels, outputs }: Manifest): number {
  if (head === 'classes') return labels?.length ?? 1
  const counts = outputs
    .filter(({ name, shape }) => shape.length === 4 && (masksOutput === undefined || name === masksOutput))
    .map(({ shape }) => shape[1])
  return counts.reduce<number>((most, count) => (typeof count === 'number' ? Math.max(most, count) : most), 1)
}

interface Asked {
  readonly settings: SegmentationSettings
  readonly subtask: Subtask
  readonly parameters: Parameters
  readonly frame: MapFrame
  readonly manifest: Manifest
  readonly meter: StepMeter
}

/** @throws manifest_invalid, run_rejected, input_too_large */
function* segmenting(
  outputs: Tensors,
  { settings, subtask, parameters, frame, manifest, meter }: Asked,
): Work<SegmentMap> {
  if (settings.head === 'classes') {
    const found = classPlanes(outputs, settings.scoresOutput, manifest)
    if ('classes' in found) {
      const [across, down] = [axisOf(found.width, frame.across), axisOf(found.height, frame.down)]
      return yield* chosenSegments(found, manifest.labels?.length ?? NO_LABEL, across, down, meter)
    }
    const { planes } = found
    const [across, down] = [axisOf(planes.width, frame.across), axisOf(planes.height, frame.down)]
    return yield* semanticSegments(planes, across, down, meter)
  }
  const queries = queryOutputs(outputs, settings, manifest)
  const { width, height } = queries.masks
  const [across, down] = [axisOf(width, frame.across), axisOf(height, frame.down)]
  const threshold = parameters.threshold ?? settings.threshold
  if (subtask === 'semantic') return yield* semanticOfQueries(queries, across, down, meter)
  if (subtask === 'instance') return yield* instanceSegments(queries, threshold, across, down, meter)
  return yield* panopticSegments(
    queries,
    {
      threshold,
      maskThreshold: parameters.mask_threshold ?? settings.maskThreshold,
      overlapMaskAreaThreshold: parameters.overlap_mask_area_threshold ?? settings.overlapMaskAreaThreshold,
      fuse: settings.fuse ?? [],
    },
    across,
    down,
    meter,
  )
}
