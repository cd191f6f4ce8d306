import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import { boxIn, boxSchema, findingSettings, readFramed } from './pictures/findings.ts'
import { EXAMPLE_PNG, IMAGE_TYPES, imageRequestSchema, readImageRequest } from './pictures/input.ts'
import type { Place } from './pictures/place.ts'
import { type Pose, posesOf } from './pictures/poses/poses.ts'
import { yoloPoses } from './pictures/poses/yolo-poses.ts'
import { floatOutputs } from './shared/outputs.ts'
import type { BoundTask } from './task.ts'

const share = z.number().min(0).max(1).optional()

const parametersSchema = z
  .strictObject({
    threshold: share.meta({ description: 'Minimum score of an answered person or thing' }),
    keypoint_threshold: share.meta({ description: 'Points with a lower score are left out' }),
    iou_threshold: share.meta({
      description: 'Of boxes of one label with a larger overlap (IoU), only the best is answered',
    }),
    top_k: z.number().int().positive().optional().meta({ description: 'Maximum number, best first' }),
  })
  .meta({ id: 'KeypointDetectionParameters' })

/** In pixels of the picture that was sent, as it is to be seen: boxes in whole ones, points in hundredths. */
const responseSchema = z
  .array(
    z.object({
      score: z.number(),
      label: z.string().optional(),
      box: boxSchema.optional(),
      keypoints: z.array(
        z.object({ x: z.number(), y: z.number(), score: z.number().optional(), name: z.string().optional() }),
      ),
    }),
  )
  .meta({ id: 'Poses' })
type Poses = z.infer<typeof responseSchema>

/** Where the points of persons or things are in a picture. */
export function keypointDetection(limits: Limits): BoundTask {
  return {
    name: 'keypoint-detection',
    mediaTypes: IMAGE_TYPES,
    request: imageRequestSchema(parametersSchema, 'KeypointDetectionRequest'),
    response: responseSchema,
    example: { inputs: EXAMPLE_PNG, parameters: { threshold: 0.25 } },

    async execute(body, model, run): Promise<Poses> {
      const { manifest } = model
      const { bytes, parameters } = readImageRequest(body, parametersSchema, limits)
      const { own: keypoints, settings } = findingSettings(
        manifest,
        manifest.keypoints,
        'keypoint',
        'postprocess.keypoints',
      )
      const { inputs, place, size } = await readFramed(model, bytes, settings, limits)
      const outputs = floatOutputs(await run(inputs))
      const threshold = parameters.threshold ?? keypoints.threshold
      const most = Math.min(parameters.top_k ?? limits.detections, limits.detections)
      const { iou_threshold: iou, keypoint_threshold: least = 0 } = parameters
      const { labels } = manifest
      const choice = { threshold, iou, candidates: limits.detectionCandidates, most }
      const poses =
        keypoints.head === 'yolo'
          ? yoloPoses(outputs, manifest, keypoints, size, choice)
          : posesOf(outputs, manifest, keypoints, size)
              .filter(({ score }) => score >= threshold)
              .sort((a, b) => b.score - a.score)
              .slice(0, most)
      return poses.map((pose) => answered(pose, place, keypoints.names, labels, least))
    },
  }
}

function answered(
  { score, label, box, points }: Pose,
  place: Place,
  names: readonly string[],
  labels: readonly string[] | undefined,
  least: number,
): Poses[number] {
  const name = label === undefined ? undefined : labels?.[label]
  return {
    score,
    ...(name !== undefined && { label: name }),
    ...(box && { box: boxIn(place, box) }),
    keypoints: points.flatMap(({ x, y, score }, index) => {
      if (!Number.isFinite(x + y) || (score !== undefined && !(score >= least))) return []
      const named = names[index]
      return [
        {
          x: hundredths(place.x(x)),
          y: hundredths(place.y(y)),
          ...(score !== undefined && { score }),
          ...(named !== undefined && { name: named }),
        },
      ]
    }),
  }
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100
}
