import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import { compileFile } from '../../src/cli/pack/compiled.ts'
import { type Description, descriptionSchema, readDescription } from '../../src/cli/pack/description.ts'
import { type PackedModel, pack } from '../../src/cli/pack/packer.ts'
import { identityModel } from '../../synthetic/onnx-models.ts'
import { normals } from '../../synthetic/random.ts'
import type { Input } from '../lib/oip.ts'
import { edgeArtifact, waysOf } from '../lib/ways.ts'
import { CACHE, type MadeModelName, madeModel } from './index.ts'

/** A model under measurement. */
export interface Subject {
  readonly name: string
  /** The `.onnx` file's bytes: what baselines load. */
  readonly onnx: Uint8Array
  readonly packed: PackedModel
  /** What Verge's own engine runs, of a model that the packer has no artifact of for the edge. */
  readonly compiled?: Uint8Array
  /** Inputs by size, smallest first. */
  readonly sizes: readonly { readonly label: string; readonly inputs: readonly Input[] }[]
}

/** Of the token ids that every vocabulary here has. */
const TOKEN_IDS = 1_000

/** A text of `length` made-up tokens. */
export function tokens(length: number): Input[] {
  const shape = [1, length]
  const ids = BigInt64Array.from({ length }, (_, index) => BigInt(10 + ((index * 7919) % (TOKEN_IDS - 10))))
  return [
    { name: 'input_ids', datatype: 'INT64', shape, data: ids },
    { name: 'attention_mask', datatype: 'INT64', shape, data: new BigInt64Array(length).fill(1n) },
  ]
}

/** A picture of made-up samples around 0, as a normalized photograph has. */
export function picture(name: string, shape: readonly number[]): Input {
  const count = shape.reduce((product, dimension) => product * dimension, 1)
  return { name, datatype: 'FP32', shape, data: normals(`picture.${name}`, count, 1) }
}

const texts = (lengths: readonly number[]) =>
  lengths.map((length) => ({ label: `${length} tokens`, inputs: tokens(length) }))

/** A model of the repository's own. */
export async function ownSubject(name: 'digits' | 'reviews'): Promise<Subject> {
  const folder = join(ROOT, 'models', name)
  const description = await readDescription(folder)
  const packed = await pack(description, folder)
  const first = packed.manifest.inputs[0]
  const sizes =
    name === 'digits'
      ? [{ label: '28 x 28', inputs: [picture(first?.name ?? '', [1, 1, 28, 28])] }]
      : texts([16, 128, 512])
  return { name, onnx: new Uint8Array(await readFile(join(folder, 'model.onnx'))), packed, sizes }
}

/** Those that are run once a request, and whose runs are what is measured. */
export type OneRunModelName = Exclude<MadeModelName, 'decoder-fp32' | 'static-fp32'>

const SIZES: Readonly<Record<OneRunModelName, Subject['sizes']>> = {
  'encoder-fp32': texts([16, 128]),
  'encoder-int8': texts([16, 128, 512]),
  'encoder-medium-int8': texts([16, 128, 512]),
  'distilbert-int8': texts([16, 128, 512]),
  'bert-base-int8': texts([128]),
  'vit-fp32': [{ label: '224 x 224', inputs: [picture('pixel_values', [1, 3, 224, 224])] }],
  'vit-int8': [{ label: '224 x 224', inputs: [picture('pixel_values', [1, 3, 224, 224])] }],
  'cnn-fp32': [{ label: '224 x 224', inputs: [picture('image', [1, 3, 224, 224])] }],
  'cnn-int8': [{ label: '224 x 224', inputs: [picture('image', [1, 3, 224, 224])] }],
}

/** A model that is made here. */
export async function madeSubject(name: OneRunModelName): Promise<Subject> {
  const { bytes } = await madeModel(name)
  const packed = await pack(described(name, name.endsWith('int8') ? 'int8' : 'fp32'), join(CACHE, 'models', name))
  const made = { name, onnx: bytes, packed, sizes: SIZES[name] }
  if (waysOf(packed).length > 0) return made
  const compilation = await compileFile(bytes)
  if (!compilation.ok) throw new Error(`Verge's own engine does not run ${name}: it ${compilation.note}`)
  return { ...made, compiled: compilation.model.bytes }
}

/** The artifact of a model for Verge's own engine. */
export function compiledOf({ compiled, name, packed }: Subject): Uint8Array {
  if (compiled !== undefined) return compiled
  const artifact = edgeArtifact(packed, 'verge')
  if (artifact?.format !== 'verge') throw new Error(`${name} has no artifact for Verge's own engine`)
  return Buffer.concat(artifact.chunks.map(({ sha256 }) => packed.chunks.get(sha256) ?? Buffer.alloc(0)))
}

/** A model that answers what it is asked: all that is measured with it is what surrounds a model. */
export async function identitySubject(name: string, input: Input): Promise<Subject> {
  const folder = join(CACHE, 'models', name)
  const onnx = identityModel(input.datatype, input.shape)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'model.onnx'), onnx)
  const packed = await pack(described(name, 'fp32'), folder)
  return { name, onnx, packed, sizes: [{ label: input.shape.join(' x '), inputs: [{ ...input, name: 'input' }] }] }
}

function described(name: string, dtype: string): Description {
  return descriptionSchema.parse({
    name,
    version: '1',
    visibility: 'public',
    licence: 'Apache-2.0',
    // Every way has the whole model here. Tables in pages are measured apart.
    pages: 'off',
    artifacts: [{ file: 'model.onnx', dtype }],
  })
}
