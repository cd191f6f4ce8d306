import * as z from 'zod'

const outputName = z.string().min(1).max(256)

/** Points of one person or thing: models have 17 to 133, hands and faces up to 478. */
export const MOST_POINTS = 1024

const point = z
  .number()
  .int()
  .nonnegative()
  .max(MOST_POINTS - 1)

/** How a model's outputs become points in a picture. */
export const keypointSettingsSchema = z
  .object({
    /**
     * `yolo`: one output of rows or columns of a box, scores and points, or of boxes that the model has chosen itself, with
     * their points. `heatmaps`: one output [1, K, H, W] of one person, a map for each point. `simcc`: outputs [1, K, W x r]
     * and [1, K, H x r] of one person, with a share for each place along an axis. `movenet`: one output [1, 1, K, 3] of one
     * person, y, x, score. `movenet-multipose`: one output [1, N, 3 K + 5] of persons: points, then ymin, xmin, ymax, xmax,
     * score.
     */
    head: z.enum(['yolo', 'heatmaps', 'simcc', 'movenet', 'movenet-multipose']),
    /** Of `heatmaps`, `yolo` and `movenet`: the output, where its shape does not tell. */
    output: outputName.optional(),
    /** The points' names, in the order of the output. */
    names: z.array(z.string().min(1).max(256)).min(1).max(MOST_POINTS),
    /** Pairs of points that are drawn with a line between them, by their places in `names`. */
    skeleton: z
      .array(z.tuple([point, point]))
      .max(4096)
      .optional(),
    /** Numbers of a point in a `yolo` row: x, y, and by default a score. */
    numbers: z.union([z.literal(2), z.literal(3)]).default(3),
    /** Of `heatmaps`. `dark`: between the places of a map, by Newton's method on the blurred logarithm, as ViTPose does. */
    refine: z.enum(['none', 'dark']).default('none'),
    /** Minimum score of an answered person or thing, unless the request sets it. */
    threshold: z.number().min(0).max(1).default(0.25),
    /** Of two overlapping `yolo` boxes, the better is answered above this. 1 keeps both. */
    iou: z.number().min(0).max(1).default(0.7),
  })
  .refine(({ names, skeleton = [] }) => skeleton.every((pair) => pair.every((place) => place < names.length)), {
    path: ['skeleton'],
    message: 'has places that are not in names',
  })

export type KeypointSettings = z.infer<typeof keypointSettingsSchema>
