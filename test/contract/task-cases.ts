/** A model that fits each task, as small as can be. Pure; runs in workerd and Node. */
import { type Manifest, manifestSchema, type TaskName } from '../../src/catalog/manifest.ts'
import { type Datatype, type Tensors, tensor } from '../../src/core/tensors.ts'
import { EXAMPLE_PNG } from '../../src/tasks/pictures/input.ts'
import { wordsTokenizer } from '../fixtures/language.ts'
import { wordPieceTokenizer } from '../fixtures/text-models.ts'
import type { TaskCase } from './task.ts'

const spec = (name: string, datatype: Datatype, ...shape: (number | string)[]) => ({
  name,
  datatype,
  shape,
})
const ARTIFACT = {
  id: 'edge-fp32',
  sha256: '0'.repeat(64),
  bytes: 0,
  chunks: [],
  format: 'ort' as const,
  dtype: 'fp32',
  places: ['edge' as const],
}
const manifestOf = (task: TaskName, fields: Partial<Manifest>): Manifest =>
  manifestSchema.parse({
    schema: 1,
    model: task,
    version: '1',
    task,
    inputs: [],
    outputs: [],
    artifacts: [ARTIFACT],
    ...fields,
  })
/** Numbers that differ from place to place, and are the same every time. */
const wave = (length: number): Float32Array<ArrayBuffer> => Float32Array.from({ length }, (_, i) => Math.sin(i + 1) / 2)
/** An output whose first dimension is that of the first input. */
const rowsOf = (inputs: Tensors): number => [...inputs.values()][0]?.shape[0] ?? 0
const lengthOf = (inputs: Tensors): number => inputs.get('input_ids')?.shape[1] ?? 0
const floats = (name: string, ...shape: number[]): Tensors =>
  new Map([[name, tensor('FP32', shape, wave(shape.reduce((product, size) => product * size, 1)))]])

const SEGMENTATION = { head: 'classes', threshold: 0.5, maskThreshold: 0.5, overlapMaskAreaThreshold: 0.8 } as const
const picture = { mode: 'L' as const, size: [4, 4] as [number, number], fit: 'stretch' as const, rescale: 1 / 255 }
const image = {
  image: { ...picture, layout: 'NCHW' as const },
  inputs: [spec('pixels', 'FP32', 1, 1, 4, 4)],
}
const largePicture = [
  { limits: { imageBytes: 10 }, code: 'input_too_large' },
  { limits: { imagePixels: 5, fullImagePixels: 5 }, code: 'input_too_large' },
  { limits: { decodeSteps: 10 }, code: 'input_too_large' },
]

const text = {
  text: { maxTokens: 16 },
  inputs: ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => spec(name, 'INT64', 'batch', 'length')),
}
const files = { 'tokenizer.json': wordPieceTokenizer() }
const longText = [
  { limits: { textLength: 3 }, code: 'input_too_large' },
  { limits: { textLengthTogether: 3 }, code: 'input_too_large' },
]
/** Runs of one text each. */
const one = { tokensPerRun: 1 }
const TEXTS = ['Ada wrote the first program in London.', 'who wrote', 'the price of travel, and of music.']

/** A model of pictures and texts in one graph. */
const pair = {
  ...image,
  ...text,
  inputs: [spec('pixel_values', 'FP32', 'pictures', 1, 4, 4), ...text.inputs.slice(0, 2)],
  outputs: [
    spec('logits_per_image', 'FP32', 'pictures', 'batch'),
    spec('image_embeds', 'FP32', 'pictures', 3),
    spec('text_embeds', 'FP32', 'batch', 3),
  ],
}
const compared = (inputs: Tensors): Tensors => {
  const [pictures = 0, texts = 0] = ['pixel_values', 'input_ids'].map((name) => inputs.get(name)?.shape[0])
  return new Map([
    ...floats('logits_per_image', pictures, texts),
    ...floats('image_embeds', pictures, 3),
    ...floats('text_embeds', texts, 3),
  ])
}

const embedding = (task: TaskName): Manifest =>
  manifestOf(task, {
    ...text,
    embedding: { pooling: 'mean', normalize: true },
    outputs: [spec('last_hidden_state', 'FP32', 'batch', 'length', 4)],
  })
const vectors = (inputs: Tensors): Tensors => floats('last_hidden_state', rowsOf(inputs), lengthOf(inputs), 4)

const sound = { sampleRate: 16_000, normalize: false }
const longSound = [
  { limits: { audioBytes: 10 }, code: 'input_too_large' },
  { limits: { audioSeconds: 0 }, code: 'input_too_large' },
]

const table = { inputs: [spec('a', 'FP32', 'N', 1), spec('b', 'FP32', 'N', 1)] }
const TABLE = { inputs: { data: { a: [1, 2, 3], b: [4, 5, 6] } } }
const largeTable = [
  { limits: { tableRows: 1 }, body: TABLE, code: 'input_too_large' },
  { limits: { tableCells: 1 }, body: TABLE, code: 'input_too_large' },
]

export const TASK_CASES: Readonly<Record<TaskName, TaskCase>> = {
  'image-classification': {
    manifest: manifestOf('image-classification', {
      ...image,
      labels: ['dark', 'light'],
      outputs: [spec('scores', 'FP32', 1, 2)],
    }),
    compute: () => floats('scores', 1, 2),
    performs: true,
    passed: largePicture,
  },
  'object-detection': {
    manifest: manifestOf('object-detection', {
      ...image,
      labels: ['nothing', 'cat'],
      activation: 'none',
      detection: { head: 'ssd', units: 'relative', background: 0, boxes: 'xyxy', threshold: 0.2, iou: 0.45 },
      outputs: [spec('scores', 'FP32', 1, 2, 2), spec('boxes', 'FP32', 1, 2, 4)],
    }),
    compute: () =>
      new Map([
        ['scores', tensor('FP32', [1, 2, 2], Float32Array.of(0.1, 0.9, 0.8, 0.2))],
        ['boxes', tensor('FP32', [1, 2, 4], Float32Array.of(0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1))],
      ]),
    performs: true,
    passed: largePicture,
  },
  'keypoint-detection': {
    manifest: manifestOf('keypoint-detection', {
      ...image,
      keypoints: {
        ...{
          head: 'movenet',
          names: ['nose', 'tail'],
          skeleton: [[0, 1]],
          numbers: 3,
          refine: 'none',
          threshold: 0.2,
          iou: 1,
        },
      },
      outputs: [spec('points', 'FP32', 1, 1, 2, 3)],
    }),
    compute: () => new Map([['points', tensor('FP32', [1, 1, 2, 3], Float32Array.of(0.5, 0.25, 0.9, 0.75, 1, 0.7))]]),
    performs: true,
    passed: largePicture,
  },
  'image-feature-extraction': {
    manifest: manifestOf('image-feature-extraction', { ...image, outputs: [spec('vector', 'FP32', 1, 3)] }),
    compute: () => floats('vector', 1, 3),
    performs: true,
    passed: largePicture,
  },
  'image-to-image': {
    manifest: manifestOf('image-to-image', {
      ...image,
      imageOutput: { colour: 'L', layout: 'NCHW', rescale: 255, offset: 0 },
      outputs: [spec('made', 'FP32', 1, 1, 8, 8)],
    }),
    compute: () => floats('made', 1, 1, 8, 8),
    performs: true,
    passed: largePicture,
  },
  'image-segmentation': {
    manifest: manifestOf('image-segmentation', {
      ...image,
      labels: ['sky', 'road', 'tree'],
      segmentation: SEGMENTATION,
      outputs: [spec('logits', 'FP32', 1, 3, 2, 2)],
    }),
    compute: () => floats('logits', 1, 3, 2, 2),
    performs: true,
    passed: [...largePicture, { limits: { pixelBytes: 100 }, code: 'input_too_large' }],
  },
  'background-removal': {
    manifest: manifestOf('background-removal', { ...image, outputs: [spec('alphas', 'FP32', 1, 1, 4, 4)] }),
    compute: () => floats('alphas', 1, 1, 4, 4),
    performs: true,
    passed: largePicture,
  },
  'depth-estimation': {
    manifest: manifestOf('depth-estimation', { ...image, outputs: [spec('predicted_depth', 'FP32', 1, 4, 4)] }),
    compute: () => floats('predicted_depth', 1, 4, 4),
    performs: true,
    passed: [
      ...largePicture,
      {
        limits: { jsonOutputElements: 3 },
        body: { inputs: EXAMPLE_PNG, parameters: { predicted_depth: 'numbers' } },
        code: 'input_too_large',
      },
    ],
  },
  'text-classification': {
    manifest: manifestOf('text-classification', {
      ...text,
      labels: ['negative', 'positive'],
      outputs: [spec('logits', 'FP32', 'batch', 2)],
    }),
    files,
    compute: (inputs) => floats('logits', rowsOf(inputs), 2),
    performs: true,
    passed: [...longText, { limits: { textsPerRequest: 1 }, body: { inputs: TEXTS }, code: 'input_too_large' }],
    several: { body: { inputs: TEXTS }, limits: one },
  },
  'token-classification': {
    manifest: manifestOf('token-classification', {
      ...text,
      labels: ['O', 'PER', 'LOC'],
      outputs: [spec('logits', 'FP32', 'batch', 'length', 3)],
    }),
    files,
    compute: (inputs) => floats('logits', rowsOf(inputs), lengthOf(inputs), 3),
    performs: true,
    passed: [...longText, { limits: { embeddingTokens: 1 }, code: 'input_too_large' }],
    several: { body: { inputs: TEXTS }, limits: one },
  },
  'question-answering': {
    manifest: manifestOf('question-answering', {
      ...text,
      text: { maxTokens: 24 },
      outputs: ['start_logits', 'end_logits'].map((name) => spec(name, 'FP32', 'batch', 'length')),
    }),
    files,
    compute: (inputs) =>
      new Map([
        ...floats('start_logits', rowsOf(inputs), lengthOf(inputs)),
        ...floats('end_logits', rowsOf(inputs), lengthOf(inputs)),
      ]),
    performs: true,
    passed: [...longText, { limits: { embeddingTokens: 1 }, code: 'input_too_large' }],
    several: { body: { inputs: TEXTS.map((context) => ({ question: 'who wrote?', context })) }, limits: one },
  },
  'zero-shot-classification': {
    manifest: manifestOf('zero-shot-classification', {
      ...text,
      text: { maxTokens: 24 },
      labels: ['contradiction', 'neutral', 'entailment'],
      outputs: [spec('logits', 'FP32', 'batch', 3)],
    }),
    files,
    compute: (inputs) => floats('logits', rowsOf(inputs), 3),
    performs: true,
    passed: [...longText, { limits: { embeddingsPerRequest: 2 }, code: 'input_too_large' }],
    several: {
      body: { inputs: TEXTS[0], parameters: { candidate_labels: ['travel', 'music, and the price'] } },
      limits: one,
    },
  },
  'fill-mask': {
    manifest: manifestOf('fill-mask', {
      ...text,
      text: { maxTokens: 16, maskToken: '?' },
      outputs: [spec('logits', 'FP32', 'batch', 'length', 40)],
    }),
    files,
    compute: (inputs) => floats('logits', rowsOf(inputs), lengthOf(inputs), 40),
    performs: true,
    passed: [
      ...longText,
      { limits: { embeddingTokens: 1 }, code: 'input_too_large' },
      { limits: { vocabularyScores: 100 }, code: 'input_too_large' },
      { limits: { filledTokens: 10 }, code: 'input_too_large' },
    ],
    several: { body: { inputs: TEXTS.map((each) => `${each} ?`) }, limits: one },
  },
  'zero-shot-image-classification': {
    manifest: manifestOf('zero-shot-image-classification', pair),
    files,
    compute: compared,
    performs: true,
    passed: [
      ...largePicture,
      ...longText,
      { limits: { embeddingsPerRequest: 2 }, code: 'input_too_large' },
      { limits: { embeddingTokens: 1 }, code: 'input_too_large' },
    ],
  },
  'image-text-similarity': {
    manifest: manifestOf('image-text-similarity', pair),
    files,
    compute: compared,
    performs: true,
    passed: [
      ...largePicture,
      ...longText,
      { limits: { embeddingsPerRequest: 1 }, code: 'input_too_large' },
      { limits: { picturesPerRequest: 0 }, code: 'input_too_large' },
    ],
  },
  'zero-shot-audio-classification': {
    manifest: manifestOf('zero-shot-audio-classification', {
      ...text,
      audio: {
        ...sound,
        samples: 1_600,
        spectrogram: { fft: 64, hop: 400, mels: 4, minFrequency: 0, maxFrequency: 8_000, padding: 'repeatpad' },
      },
      inputs: [spec('input_features', 'FP32', 'sounds', 1, 5, 4), ...text.inputs.slice(0, 2)],
      outputs: [spec('logits_per_audio', 'FP32', 'sounds', 'batch')],
    }),
    files,
    compute: (inputs) => floats('logits_per_audio', 1, inputs.get('input_ids')?.shape[0] ?? 0),
    performs: true,
    passed: [
      ...longSound,
      ...longText,
      { limits: { decodeSteps: 10 }, code: 'input_too_large' },
      { limits: { embeddingsPerRequest: 2 }, code: 'input_too_large' },
    ],
  },
  'audio-classification': {
    manifest: manifestOf('audio-classification', {
      labels: ['loud', 'long'],
      audio: sound,
      inputs: [spec('sound', 'FP32', 1, 'samples')],
      outputs: [spec('logits', 'FP32', 1, 2)],
    }),
    compute: () => floats('logits', 1, 2),
    performs: true,
    passed: longSound,
  },
  'voice-activity-detection': {
    manifest: manifestOf('voice-activity-detection', {
      audio: {
        ...sound,
        window: {
          length: 32,
          context: 4,
          input: 'samples',
          output: 'speech',
          rate: 'rate',
          state: [{ input: 'memory', output: 'memory_out', shape: [1, 2] }],
        },
      },
      inputs: [spec('samples', 'FP32', 1, 36), spec('memory', 'FP32', 1, 2), spec('rate', 'INT64')],
      outputs: [spec('speech', 'FP32', 1, 1), spec('memory_out', 'FP32', 1, 2)],
    }),
    compute: () => new Map([...floats('speech', 1, 1), ...floats('memory_out', 1, 2)]),
    performs: true,
    passed: longSound,
    several: {},
  },
  'feature-extraction': {
    manifest: embedding('feature-extraction'),
    files,
    compute: vectors,
    performs: true,
    passed: [
      ...longText,
      { limits: { embeddingsPerRequest: 1 }, code: 'input_too_large' },
      { limits: { embeddingTokens: 1 }, code: 'input_too_large' },
      { limits: { jsonOutputElements: 1 }, code: 'input_too_large' },
      { limits: { requestItems: 1 }, code: 'input_too_large' },
    ],
    several: { body: { inputs: TEXTS }, limits: one },
  },
  'sentence-similarity': {
    manifest: embedding('sentence-similarity'),
    files,
    compute: vectors,
    performs: true,
    passed: [...longText, { limits: { embeddingsPerRequest: 1 }, code: 'input_too_large' }],
    several: { body: { inputs: { source_sentence: TEXTS[0], sentences: TEXTS } }, limits: one },
  },
  'text-ranking': {
    manifest: manifestOf('text-ranking', { ...text, outputs: [spec('logits', 'FP32', 'batch', 1)] }),
    files,
    compute: (inputs) => floats('logits', rowsOf(inputs), 1),
    performs: true,
    passed: [...longText, { limits: { embeddingsPerRequest: 1 }, code: 'input_too_large' }],
    several: { body: { inputs: { query: 'who wrote?', texts: TEXTS } }, limits: one },
  },
  'bytes-classification': {
    manifest: manifestOf('bytes-classification', {
      labels: ['python', 'html'],
      activation: 'none',
      bytes: { begin: 4, middle: 0, end: 4, blockSize: 8, padding: 256, strip: false },
      inputs: [spec('bytes', 'INT32', 'N', 8)],
      outputs: [spec('scores', 'FP32', 'N', 2)],
    }),
    compute: () => floats('scores', 1, 2),
    performs: false,
    anyMediaType: true,
    passed: [{ limits: { requestBodyBytes: 3 }, code: 'input_too_large' }],
  },
  'tabular-classification': {
    manifest: manifestOf('tabular-classification', {
      ...table,
      labels: ['no', 'yes'],
      outputs: [spec('scores', 'FP32', 'N', 2)],
    }),
    compute: (inputs) => floats('scores', rowsOf(inputs), 2),
    performs: false,
    passed: largeTable,
  },
  'tabular-regression': {
    manifest: manifestOf('tabular-regression', { ...table, outputs: [spec('y', 'FP32', 'N', 1)] }),
    compute: (inputs) => floats('y', rowsOf(inputs), 1),
    performs: false,
    passed: largeTable,
  },
  'text-generation': {
    manifest: manifestOf('text-generation', {
      generation: { contextLength: 64, stopTokens: [256] },
      inputs: [spec('input_ids', 'INT64', 1, 'length')],
      outputs: [],
    }),
    files: { 'tokenizer.json': wordsTokenizer() },
    writes: [72, 105, 33],
    performs: true,
    passed: [
      { limits: { stopStrings: 0 }, body: { inputs: 'Hi', parameters: { stop: ['.'] } }, code: 'invalid_request' },
      {
        limits: { stopStringLength: 1 },
        body: { inputs: 'Hi', parameters: { stop: ['end'] } },
        code: 'invalid_request',
      },
    ],
  },
}
