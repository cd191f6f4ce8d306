import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { encodePng } from '../../media/image/png-encode.ts'
import { parseIdx } from '../samples/idx.ts'
import { UsageError } from '../terminal/command-line.ts'

/** One thing to ask, and the label that is right for it. */
export interface HeldOutSample {
  readonly body: Uint8Array<ArrayBuffer> | string
  readonly contentType: string
  readonly label: string
}

/** Data that a model's training script never saw. */
export interface HeldOut {
  readonly model: string
  /** Which part of the data is held out, in words. */
  readonly rule: string
  /** Files to read, with a description of each. */
  readonly files: readonly string[]
  readonly contents: string
  read(folder: string): Promise<HeldOutSample[]>
}

const IMAGES = 'mnist-8000-images-idx3-ubyte.gz'
const LABELS = 'mnist-8000-labels-idx1-ubyte.gz'
const REVIEWS = 'imdb-train.jsonl.gz'

/** The parts held out by `scripts/train/`. */
export const HELD_OUT: readonly HeldOut[] = [
  {
    model: 'digits',
    rule: 'MNIST digits whose index leaves remainder 3 when divided by 4, as 28x28 PNGs',
    files: [IMAGES, LABELS],
    contents: "the first 8,000 images of MNIST's test file and their labels, in MNIST's own format",
    async read(folder) {
      const images = parseIdx(await unpacked(folder, IMAGES), 3, IMAGES)
      const labels = parseIdx(await unpacked(folder, LABELS), 1, LABELS)
      const [count, height, width] = images.sizes as [number, number, number]
      if (labels.sizes[0] !== count) throw new UsageError(`${IMAGES} and ${LABELS} differ in length.`)
      return Promise.all(
        indices(count, 4, 3).map(async (index) => {
          const data = images.data.subarray(index * width * height, (index + 1) * width * height)
          return {
            body: await encodePng({ width, height, channels: 1, data }),
            contentType: 'image/png',
            label: String(labels.data[index]),
          }
        }),
      )
    },
  },
  {
    model: 'reviews',
    rule: 'IMDB reviews whose line leaves remainder 4 when divided by 5',
    files: [REVIEWS],
    contents:
      'the 25,000 training reviews of the Large Movie Review Dataset, a line each: {"text": "...", "label": 0 or 1}',
    async read(folder) {
      const lines = new TextDecoder()
        .decode(await unpacked(folder, REVIEWS))
        .split('\n')
        .filter((line) => line !== '')
      return indices(lines.length, 5, 4).map((index) => {
        const { label, text } = JSON.parse(lines[index] as string) as { readonly label: number; readonly text: string }
        return {
          body: JSON.stringify({ inputs: text }),
          contentType: 'application/json',
          label: label === 1 ? 'positive' : 'negative',
        }
      })
    },
  },
]

/** Says what to bring, where a file is missing: the data is not ours to give away. @throws UsageError */
export function assertData(folder: string, sets: readonly HeldOut[]): void {
  const lacking = sets.filter(({ files }) => files.some((file) => !existsSync(join(folder, file))))
  if (lacking.length === 0) return
  const lines = lacking.flatMap(({ model, files, contents }) => [
    `  ${files.join('\n  ')}`,
    `    for ${model}: ${contents} (models/${model}/README.md, "Data")`,
  ])
  throw new UsageError(
    `Accuracy is measured on data that is not part of Verge. ${folder} does not contain:\n\n${lines.join('\n')}\n\n` +
      'Put these files into a folder and pass it: npm run accuracy -- --data DIR',
  )
}

function indices(count: number, divisor: number, remainder: number): number[] {
  return Array.from({ length: count }, (_, index) => index).filter((index) => index % divisor === remainder)
}

async function unpacked(folder: string, name: string): Promise<Uint8Array> {
  let packed: Uint8Array
  try {
    packed = await readFile(join(folder, name))
  } catch (error) {
    throw new UsageError(`${join(folder, name)} cannot be read. Pass the folder that contains it with --data.`, {
      cause: error,
    })
  }
  return promisify(gunzip)(packed)
}
