import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import { sha256 } from '../../src/cli/pack/bytes.ts'
import { cnnModel } from './cnn.ts'
import { decoderModel, GPT2 } from './decoder.ts'
import { BERT_BASE, DISTILBERT, encoderModel, MEDIUM, MINILM } from './encoder.ts'
import { STATIC, staticModel } from './static.ts'
import { vitModel } from './vit.ts'

interface MadeModel {
  readonly make: () => Uint8Array<ArrayBuffer>
  /** What `make` gives on every machine: figures of different days are of the same bytes. */
  readonly sha256: string
}

export const MADE_MODELS = {
  'encoder-fp32': {
    make: () => encoderModel(MINILM, 'fp32'),
    sha256: '3971ca6aba68023f665bb1c50e0836aecca21bbc5990441d823ec66d91ebfe9f',
  },
  'encoder-int8': {
    make: () => encoderModel(MINILM, 'int8'),
    sha256: 'db525f48201cf995a184923ffd13f23696421e5ceba55c6a233e52e2ae79051a',
  },
  'bert-base-int8': {
    make: () => encoderModel(BERT_BASE, 'int8'),
    sha256: '55a2579787244bfd41044c122944bec3b0ebb066639c2135ef42d0dfacefc5d0',
  },
  'encoder-medium-int8': {
    make: () => encoderModel(MEDIUM, 'int8'),
    sha256: 'bb36ce5f240709ec9a514f490a78d9c1ab4230cafba3dfe7eb7310a9a2d6304d',
  },
  'distilbert-int8': {
    make: () => encoderModel(DISTILBERT, 'int8'),
    sha256: '63a590be8e38a9415e6a9fd7e491ac6f89dabc4d4a1927b4acec3f71a9802377',
  },
  'vit-fp32': {
    make: () => vitModel('fp32'),
    sha256: 'efdf4c73cf1736cf634f55b471a9485a1f2802a8802b935b9587bf3010881ff3',
  },
  'vit-int8': {
    make: () => vitModel('int8'),
    sha256: 'c97f242a40b93c49454e506683a635c8db4ebf97f9d3f432eca68e5a2093f355',
  },
  'cnn-fp32': {
    make: () => cnnModel('fp32'),
    sha256: '8267d3865cf480bc67d8ef5b8433bfc71911767a33909418854d2b912f9ecde5',
  },
  'cnn-int8': {
    make: () => cnnModel('int8'),
    sha256: '1689de26a2d64483b78c6222309a503a698c51e44f89271a46aacc2bd48c36f0',
  },
  'static-fp32': {
    make: () => staticModel(STATIC),
    sha256: 'e84082ff7a0e154f77f846cea4845e3755ef24830a4e419787601ef799d68f77',
  },
  'decoder-fp32': {
    make: () => decoderModel(GPT2),
    sha256: 'e8ff8ba638ce3ebc5937d8edb4534b61f23900f597f505c5e9d086d59e4dfc05',
  },
} as const satisfies Readonly<Record<string, MadeModel>>

export type MadeModelName = keyof typeof MADE_MODELS

/** Where the benchmark keeps what it has made; git ignores it, and it may be deleted at any time. */
export const CACHE = join(ROOT, '.verge/bench')

/**
 * A made model's file, written where it is not there yet or is not what it should be.
 * @throws Error if the bytes made are not those that were pinned
 */
export async function madeModel(name: MadeModelName): Promise<{ readonly file: string; readonly bytes: Uint8Array }> {
  const file = join(CACHE, 'models', name, 'model.onnx')
  const pinned = MADE_MODELS[name].sha256
  const cached = await readFile(file).catch(() => null)
  if (cached && sha256(cached) === pinned) return { file, bytes: new Uint8Array(cached) }
  const bytes = MADE_MODELS[name].make()
  const digest = sha256(bytes)
  if (digest !== pinned) {
    throw new Error(
      `The model "${name}" came out as ${digest} instead of ${pinned}. If bench/models/ was changed on purpose, pin the new digest there; figures are not comparable with earlier ones then.`,
    )
  }
  await mkdir(join(CACHE, 'models', name), { recursive: true })
  // Written beside and renamed, so that an interrupted run leaves no half file.
  await writeFile(`${file}.part`, bytes)
  await rename(`${file}.part`, file)
  return { file, bytes }
}
