import {
  type Binding,
  type Bound,
  FLOATS,
  type Frame,
  INTEGERS,
  type Operator,
  PER_FLOAT,
  roundUp,
  type View,
} from './operator.ts'
import { broadcastStrides } from './strides.ts'

/** One of the two ways in which attention is computed, a text at a time. */
interface Way {
  readonly name: string
  readonly numbers: string
  readonly kernel: 'attentionHeads' | 'attentionInt8Heads'
  /** Of a multiply-add, in those of eight bits. */
  readonly perProduct: number
  /** Of a score from its sum to its weight, in the same. */
  readonly perScore: number
  /** Bytes that it needs beside its operands. */
  scratch(keys: number, size: number): number
}

function attention({ name, numbers, kernel, perProduct, perScore, scratch: scratchOf }: Way): Operator {
  return {
    name,
    what: `softmax(q kᵀ · scale + mask) v of heads side by side in [B, S, heads · headSize], ${numbers}, in blocks of keys; \`keep\` [B, T] hides keys with 0. \`offsets\` say where each head row begins in q, k and v, which may be one tensor`,
    inputs: [
      { name: 'q', types: FLOATS },
      { name: 'k', types: FLOATS },
      { name: 'v', types: FLOATS },
      { name: 'mask', types: FLOATS, optional: true },
      { name: 'keep', types: INTEGERS, optional: true },
    ],
    outputs: [{ types: FLOATS }],
    attributes: {
      heads: { type: 'number' },
      headSize: { type: 'number' },
      scale: { type: 'number', otherwise: 1 },
      offsets: { type: 'numbers', otherwise: [0, 0, 0] },
    },
    bind(step: Binding): Bound {
      const [q, k, v, out] = [step.input(0), step.input(1), step.input(2), step.output()]
      const [mask, keep] = [step.inputs[3], step.inputs[4]]
      const heads = step.number('heads')
      const size = step.number('headSize')
      const offsets = step.numbers('offsets')
      step.need(Number.isInteger(heads) && heads > 0 && Number.isInteger(size) && size > 0, 'it has no heads')
      step.need(
        [q, k, v, out].every((view) => view.shape.length === 3),
        'its tensors are not of [batch, position, channel]',
      )
      const [batch = 0, queries = 0] = q.shape
      const keys = k.shape[1] ?? 0
      const width = heads * size
      step.need(width <= 65_536 && offsets.length === 3, 'its heads are too wide')
      step.need(k.shape[0] === batch && v.shape[0] === batch && v.shape[1] === keys, 'its keys do not fit its values')
      step.need(
        [q, k, v].every((view, index) => {
          const offset = offsets[index] ?? -1
          return Number.isInteger(offset) && offset >= 0 && offset + width <= (view.shape[2] ?? 0)
        }),
        'its heads lie outside its tensors',
      )
      step.need(
        out.shape[0] === batch && out.shape[1] === queries && out.shape[2] === width,
        'its result has another shape',
      )
      const strides = mask && broadcastStrides(mask.shape, [batch, heads, queries, keys])
      step.need(mask === undefined || strides !== undefined, 'its mask does not broadcast to its scores')
      step.need(
        keep === undefined || keep.count === batch * keys,
        'it says of another number of keys whether to keep them',
      )
      const [perBatch = 0, perHead = 0, perQuery = 0, perKey = 0] = strides ?? []
      const first = (view: View, frame: Frame, item: number, place: number): number =>
        view.at(frame) + (item * (view.shape[1] ?? 0) * (view.shape[2] ?? 0) + (offsets[place] ?? 0)) * 4
      return {
        cost: batch * heads * queries * keys * (2 * size * perProduct + perScore),
        scratch: scratchOf(keys, size),
        run(kernels, frame, scratch) {
          for (let item = 0; item < batch; item++) {
            kernels[kernel](
              first(q, frame, item, 0),
              first(k, frame, item, 1),
              first(v, frame, item, 2),
              out.at(frame) + item * queries * width * 4,
              (q.shape[2] ?? 0) * 4,
              (k.shape[2] ?? 0) * 4,
              (v.shape[2] ?? 0) * 4,
              width * 4,
              queries,
              keys,
              size,
              step.number('scale'),
              mask === undefined ? 0 : mask.at(frame) + item * perBatch * 4,
              perQuery * 4,
              perKey * 4,
              keep === undefined ? 0 : keep.at(frame) + item * keys * 4,
              scratch,
              heads,
              perHead * 4,
            )
          }
        },
      }
    },
  }
}

/** As `attentionScratch` in `assembly/attention.ts`. */
function floatScratch(keys: number, size: number): number {
  const [t, d] = [roundUp(keys, 8), roundUp(size, 8)]
  return (t * size + d * keys + size * 4 + 128 * 4 + d * 4 + 64) * 4
}

/** As `attentionInt8Scratch` in `assembly/attention-int8.ts`. */
function int8Scratch(keys: number, size: number): number {
  const [t, d] = [roundUp(keys, 4), roundUp(size, 4)]
  return 3 * t * d + 12 * t + 40 * d + 128 * 8 * 6 + 160
}

export const ATTENTIONS: readonly Operator[] = [
  attention({
    name: 'attention',
    numbers: 'in f32',
    kernel: 'attentionHeads',
    perProduct: PER_FLOAT,
    perScore: 20,
    scratch: floatScratch,
  }),
  attention({
    name: 'attention-int8',
    numbers: 'with scores of 7 by 8 bits and weights of 14 bits',
    kernel: 'attentionInt8Heads',
    perProduct: 2,
    perScore: 60,
    scratch: int8Scratch,
  }),
]
