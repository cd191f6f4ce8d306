import * as z from 'zod'

const outputName = z.string().min(1).max(256)

/** How a detector's outputs become boxes. */
export const detectionSettingsSchema = z.object({
  /**
   * `ssd`: one output of scores [1, N, C] and one of boxes [1, N, 4]. `yolo`: one output [1, 4 + C, N] or
   * [1, N, 4 + C], with the boxes first, and then perhaps one number for whether there is anything. `end-to-end`: boxes that
   * the model has chosen itself, in one output [1, N, 6] of two corners, score and number of the class, or in outputs of
   * boxes [1, N, 4], scores [1, N], classes [1, N] and perhaps their count. `detr`: one output of scores [1, N, C] and one of
   * boxes [1, N, 4]; by softmax the last class means "no object". `selected`: boxes [1, N, 4], scores [1, C, N] and the
   * places that ONNX's NonMaxSuppression has selected, [K, 3].
   */
  head: z.enum(['ssd', 'yolo', 'end-to-end', 'detr', 'selected']),
  /** Names of the outputs, where their shapes do not tell: of `yolo` the scores' name alone. */
  scoresOutput: outputName.optional(),
  boxesOutput: outputName.optional(),
  /** Meaning of a box's four numbers: two corners, x or y first, or the centre and the size. */
  boxes: z.enum(['xyxy', 'yxyx', 'cxcywh']).default('xyxy'),
  /** Pixels of the model's input, or shares of its width and height. */
  units: z.enum(['pixels', 'relative']).default('pixels'),
  /** Whether a `yolo` row has a fifth number that multiplies its scores; default: by the number of labels. */
  objectness: z.boolean().optional(),
  /** `yolox`: places within their cell and logarithms of sizes, of cells of 8, 16 and 32 pixels, and perhaps 64. */
  decode: z.enum(['yolox']).optional(),
  /** Numbers behind the scores of a `yolo` row that are not answered, such as the 32 of a mask. */
  extra: z.number().int().positive().max(4096).optional(),
  /** The class that means "no object". */
  background: z.number().int().nonnegative().max(65_535).optional(),
  /** Minimum score of answered boxes, unless the request sets it. */
  threshold: z.number().min(0).max(1).default(0.5),
  /**
   * Of two boxes of one class that overlap more than this, the better is answered. 1 keeps both. Not of use to boxes that
   * the model has chosen itself.
   */
  iou: z.number().min(0).max(1).default(0.45),
})

export type DetectionSettings = z.infer<typeof detectionSettingsSchema>
