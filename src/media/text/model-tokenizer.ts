import type { Manifest } from '../../catalog/manifest.ts'
import type { ModelFile } from '../../catalog/model-file.ts'
import { TOKENIZER_IMAGE } from './compiled/format.ts'
import { TextTokenizer } from './tokenizer.ts'

/** The model's own tokenizer, as it is written and as models are given it. */
export const TOKENIZER_FILE = 'tokenizer.json'

interface ModelFiles {
  readonly manifest: Pick<Manifest, 'files'>
  file<T>(file: ModelFile<T>): Promise<T>
}

/** A model's tokenizer. @throws manifest_invalid */
export function openTokenizer(model: ModelFiles): Promise<TextTokenizer> {
  return model.file(tokenizerFile(model.manifest))
}

const COMPILED: ModelFile<TextTokenizer> = { name: TOKENIZER_IMAGE, parse: (bytes) => TextTokenizer.open(bytes) }
const WRITTEN: ModelFile<TextTokenizer> = { name: TOKENIZER_FILE, parse: (bytes) => TextTokenizer.parse(bytes) }

/** What a model's tokenizer is read from: compiled already, or, of a model that an older Verge stored, compiled here. */
export function tokenizerFile(manifest: Pick<Manifest, 'files'>): ModelFile<TextTokenizer> {
  return isCompiled(manifest) ? COMPILED : WRITTEN
}

/** Whether a model's tokenizer was compiled when it was stored, so that nothing reads its `tokenizer.json`. */
export function isCompiled({ files = {} }: Pick<Manifest, 'files'>): boolean {
  return Object.hasOwn(files, TOKENIZER_IMAGE)
}
