import * as z from 'zod'
import type { Limits } from '../core/limits.ts'
import { fromHead, suppressed } from './pictures/detection/candidates.ts'
import { headOf } from './pictures/detection/heads.ts'
import { boxIn, boxSchema, findingSettings, readFramed } from './pictures/findings.ts'
import { EXAMPLE_PNG, IMAGE_TYPES, imageRequestSchema, readImageRequest } from './pictures/input.ts'
import { floatOutputs, numberOutputs } from './shared/outputs.ts'
import type { BoundTask } from './task.ts'

const parametersSchema = z
  .strictObject({
    threshold: z.number().min(0).max(1).optional().meta({ description: 'Minimum score of an answered box' }),
    iou_threshold: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .meta({ description: 'Of boxes of one label with a larger overlap (IoU), only the best is answered' }),
    top_k: z.number().int().positive().optional().meta({ description: 'Maximum number, best first' }),
  })
  .meta({ id: 'ObjectDetectionParameters' })

/** Boxes as Hugging Face's pipeline answers them: in pixels of the picture that was sent, as it is to be seen. */
const responseSchema = z
  .array(
    z.object({
      label: z.string(),
      score: z.number(),
      box: boxSchema,
    }),
  )
  .meta({ id: 'Detections' })
type Detections = z.infer<typeof responseSchema>

/** What is where in a picture. */
export function objectDetection(limits: Limits): BoundTask {
  return {
    name: 'object-detection',
    mediaTypes: IMAGE_TYPES,
    request: imageRequestSchema(parametersSchema, 'ObjectDetectionRequest'),
    response: responseSchema,
    example: { inputs: EXAMPLE_PNG, parameters: { threshold: 0.5 } },

    async execute(body, model, run): Promise<Detections> {
      const { manifest } = model
      const { bytes, parameters } = readImageRequest(body, parametersSchema, limits)
      const { own: detection, settings } = findingSettings(
        manifest,
        manifest.detection,
        'detection',
        'postprocess.detection',
      )
      const { inputs, place, size } = await readFramed(model, bytes, settings, limits)
      const answered = await run(inputs)
      const chosen = detection.head === 'end-to-end' || detection.head === 'selected'
      const outputs = chosen ? numberOutputs(answered) : floatOutputs(answered)
      const head = headOf(outputs, manifest, detection, size)
      const threshold = parameters.threshold ?? detection.threshold
      const sure = fromHead(head, manifest, detection, size, threshold, limits.detectionCandidates)
      const most = Math.min(parameters.top_k ?? limits.detections, limits.detections, head.scores.count)
      // What the model has chosen itself is not thinned out again, unless the caller wants that.
      const iou = parameters.iou_threshold ?? (head.keepsOverlaps ? 1 : detection.iou)
      return suppressed(sure, iou, most).flatMap((candidate) => {
        const box = boxIn(place, candidate)
        if (box.xmax <= box.xmin || box.ymax <= box.ymin) return []
        const label = manifest.labels?.[candidate.label] ?? `LABEL_${candidate.label}`
        return [{ label, score: candidate.score, box }]
      })
    },
  }
}
