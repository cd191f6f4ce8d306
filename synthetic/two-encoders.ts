import { tensor } from '../src/core/tensors.ts'
import type { ValueInfo } from './onnx.ts'
import { type Activation, type LayerSizes, Transformer } from './transformer.ts'

const SIZES: LayerSizes = { hidden: 32, heads: 4, ffn: 64 }
const LAYERS = 2
/** Of the vectors that both encoders make. */
const WIDTH = 24

export interface PictureSizes {
  /** Of a picture, in pixels. */
  readonly side: number
  readonly patch: number
}

export interface TextSizes {
  readonly vocabulary: number
  /** Most tokens of a text. */
  readonly positions: number
}

const TEXT_BATCH = ['text_batch_size', 'sequence_length']

/**
 * CLIP's two encoders in one graph, as Optimum exports `CLIPModel`: INT64 `input_ids` and `attention_mask`
 * [text_batch_size, sequence_length] and FP32 `pixel_values` [image_batch_size, 3, side, side] -> `logits_per_image`,
 * `logits_per_text`, `text_embeds` and `image_embeds`. A text's vector is that of its token with the highest number, which
 * is the last special one. Its weights are made up.
 */
export function clipModel(picture: PictureSizes, text: TextSizes): Uint8Array<ArrayBuffer> {
  const net = new Transformer()
  const { graph } = net
  const { hidden } = SIZES
  let words = net.words('text.embeddings', 'input_ids', text.vocabulary, text.positions, hidden)
  const mask = graph.node('Add', [net.causal('input_ids', text.positions), net.padding('attention_mask')])
  words = layers(net, 'text', words, 'quick_gelu', mask)
  words = net.norm('text.norm', words, hidden)
  const last = graph.node('ArgMax', ['input_ids'], { axis: { int: -1 }, keepdims: { int: 0 } })
  const pooled = rowAt(net, words, last)
  const texts = net.toLengthOne(net.project('text.projection', pooled, hidden, WIDTH))

  let patches = net.norm('vision.norm1', pictureTokens(net, picture, true), hidden)
  patches = layers(net, 'vision', patches, 'quick_gelu')
  const first = graph.node('Gather', [patches, scalar(net, 0)], { axis: { int: 1 } })
  const seen = net.norm('vision.norm2', first, hidden)
  const images = net.toLengthOne(net.project('vision.projection', seen, hidden, WIDTH))

  return outputs(net, { kind: 'image', texts, others: images, scale: graph.scalar('logit_scale', 20) }, [
    { name: 'input_ids', datatype: 'INT64', shape: TEXT_BATCH },
    pictureInput(picture),
    { name: 'attention_mask', datatype: 'INT64', shape: TEXT_BATCH },
  ])
}

/**
 * SigLIP's, as transformers.js has it: no mask, so that padding counts, the last token's vector for a text, and a bias
 * beside the scale of its logits.
 */
export function siglipModel(picture: PictureSizes, text: TextSizes): Uint8Array<ArrayBuffer> {
  const net = new Transformer()
  const { graph } = net
  const { hidden } = SIZES
  let words = net.words('text.embeddings', 'input_ids', text.vocabulary, text.positions, hidden)
  words = net.norm('text.norm', layers(net, 'text', words, 'gelu_tanh'), hidden)
  const last = graph.node('Gather', [words, scalar(net, -1)], { axis: { int: 1 } })
  const texts = net.toLengthOne(net.linear('text.head', last, hidden, WIDTH))

  const patches = layers(net, 'vision', pictureTokens(net, picture, false), 'gelu_tanh')
  const seen = net.norm('vision.norm', patches, hidden)
  const mean = graph.node('ReduceMean', [seen], { axes: { ints: [1] }, keepdims: { int: 0 } })
  const images = net.toLengthOne(net.linear('vision.head', mean, hidden, WIDTH))

  const scale = graph.scalar('logit_scale', 10)
  return outputs(net, { kind: 'image', texts, others: images, scale, bias: graph.scalar('logit_bias', -2) }, [
    { name: 'input_ids', datatype: 'INT64', shape: TEXT_BATCH },
    pictureInput(picture),
  ])
}

export interface SpectrogramSizes {
  readonly frames: number
  readonly mels: number
  /** Frames of one piece. */
  readonly piece: number
}

/**
 * CLAP's, as transformers.js has it: FP32 `input_features` [audio_batch_size, 1, frames, mels], a text's vector by its first
 * token, as RoBERTa's.
 */
export function clapModel(sound: SpectrogramSizes, text: TextSizes): Uint8Array<ArrayBuffer> {
  const net = new Transformer()
  const { graph } = net
  const { hidden } = SIZES
  let words = net.words('text.embeddings', 'input_ids', text.vocabulary, text.positions, hidden)
  words = layers(net, 'text', words, 'gelu', net.padding('attention_mask'))
  const first = graph.node('Gather', [words, scalar(net, 0)], { axis: { int: 1 } })
  const texts = net.toLengthOne(net.linear('text.projection', first, hidden, WIDTH))

  // Decibels to about one.
  const scaled = graph.node('Mul', ['input_features', graph.scalar('decibels', 0.02)])
  const kernel = [sound.piece, sound.mels]
  const pieces = convolved(net, 'audio.patches', scaled, [1, ...kernel])
  const encoded = layers(net, 'audio', pieces, 'gelu')
  const mean = graph.node('ReduceMean', [encoded], { axes: { ints: [1] }, keepdims: { int: 0 } })
  const sounds = net.toLengthOne(net.linear('audio.projection', mean, hidden, WIDTH))

  return outputs(net, { kind: 'audio', texts, others: sounds, scale: graph.scalar('logit_scale', 14) }, [
    { name: 'input_ids', datatype: 'INT64', shape: TEXT_BATCH },
    {
      name: 'input_features',
      datatype: 'FP32',
      shape: ['audio_batch_size', 1, sound.frames, sound.mels],
    },
    { name: 'attention_mask', datatype: 'INT64', shape: TEXT_BATCH },
  ])
}

function layers(net: Transformer, name: string, input: string, activation: Activation, mask?: string): string {
  let value = input
  for (let layer = 0; layer < LAYERS; layer++) value = net.layer(`${name}.${layer}`, value, SIZES, activation, mask)
  return value
}

function pictureInput({ side }: PictureSizes): ValueInfo {
  return { name: 'pixel_values', datatype: 'FP32', shape: ['image_batch_size', 3, side, side] }
}

/** Patches as tokens with their places, after the class token where there is one. */
function pictureTokens(net: Transformer, { patch, side }: PictureSizes, withClass: boolean): string {
  const { graph } = net
  const { hidden } = SIZES
  const patches = convolved(net, 'vision.patches', 'pixel_values', [3, patch, patch])
  const count = (side / patch) ** 2 + (withClass ? 1 : 0)
  const places = net.weight('vision.places', [1, count, hidden])
  if (!withClass) return graph.node('Add', [patches, places])
  const batch = graph.node('Slice', [
    graph.node('Shape', ['pixel_values']),
    graph.integers('zero', [0]),
    graph.integers('one.axis', [1]),
  ])
  const shape = graph.node('Concat', [batch, graph.integers('class.shape', [1, hidden])], { axis: { int: 0 } })
  const token = graph.node('Expand', [net.weight('vision.class', [1, 1, hidden]), shape])
  const tokens = graph.node('Concat', [token, patches], { axis: { int: 1 } })
  return graph.node('Add', [tokens, places])
}

/** Pieces of a picture as rows [batch, pieces, hidden]. */
function convolved(net: Transformer, name: string, input: string, kernel: readonly number[]): string {
  const { graph } = net
  const { hidden } = SIZES
  const [, height = 1, width = 1] = kernel
  const square = { ints: [height, width] }
  const made = graph.node(
    'Conv',
    [input, net.weight(`${name}.weight`, [hidden, ...kernel]), net.weight(`${name}.bias`, [hidden])],
    { kernel_shape: square, strides: square },
  )
  const flat = graph.node('Reshape', [made, graph.integers(`${name}.flat`, [0, hidden, -1])])
  return graph.node('Transpose', [flat], { perm: { ints: [0, 2, 1] } })
}

/** The row of each text that `index` [batch] names: of [batch, length, hidden], [batch, hidden]. */
function rowAt(net: Transformer, rows: string, index: string): string {
  const { graph } = net
  const batch = graph.node('Gather', [graph.node('Shape', [rows]), scalar(net, 0)])
  const range = graph.node('Range', [scalar(net, 0), batch, scalar(net, 1)])
  const axis = graph.integers('axis.pair', [1])
  const pairs = graph.node('Concat', [graph.node('Unsqueeze', [range, axis]), graph.node('Unsqueeze', [index, axis])], {
    axis: { int: 1 },
  })
  return graph.node('GatherND', [rows, pairs])
}

function scalar(net: Transformer, value: number): string {
  return net.graph.weight(`scalar.${value}`, tensor('INT64', [], BigInt64Array.of(BigInt(value))))
}

interface Compared {
  readonly kind: 'image' | 'audio'
  readonly texts: string
  readonly others: string
  readonly scale: string
  readonly bias?: string
}

function outputs(
  net: Transformer,
  { bias, kind, others, scale, texts }: Compared,
  inputs: readonly ValueInfo[],
): Uint8Array<ArrayBuffer> {
  const { graph } = net
  const turned = graph.node('Transpose', [others], { perm: { ints: [1, 0] } })
  const scaled = graph.node('Mul', [graph.node('MatMul', [texts, turned]), scale])
  const perText = bias === undefined ? scaled : graph.node('Add', [scaled, bias])
  const perItem = graph.node('Transpose', [perText], { perm: { ints: [1, 0] } })
  const [text, item] = ['text_batch_size', `${kind}_batch_size`]
  const output = (name: string, ...shape: (string | number)[]): ValueInfo => ({ name, datatype: 'FP32', shape })
  return graph.modelOf(inputs, [
    { output: output(`logits_per_${kind}`, item, text), result: perItem },
    { output: output('logits_per_text', text, item), result: perText },
    { output: output('text_embeds', text, WIDTH), result: texts },
    { output: output(`${kind}_embeds`, item, WIDTH), result: others },
  ])
}
