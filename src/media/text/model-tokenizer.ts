import type { Manifest } from '../../catalog/manifest.ts'
import { TOKENIZER_IMAGE } from './compiled/format.ts'
import { TextTokenizer } from './tokenizer.ts'

/** The model's own tokenizer, as it is written and as models are given it. */
export const TOKENIZER_FILE = 'tokenizer.json'

interface ModelFiles {
  readonly manifest: Pick<Manifest, 'files'>
  file<T>(name: string, parse: (bytes: Uint8Array) => T): Promise<T>
}

/** A model's tokenizer: compiled already, or, of a model that an older Verge stored, compiled here. @throws manifest_invalid */
export function openTokenizer(model: ModelFiles): Promise<TextTokenizer> {
  return isCompiled(model.manifest)
    ? model.file(TOKENIZER_IMAGE, (bytes) => TextTokenizer.open(bytes))
    : model.file(TOKENIZER_FILE, (bytes) => TextTokenizer.parse(bytes))
}

/** Whether a model's tokenizer was compiled when it was stored, so that nothing reads its `tokenizer.json`. */
export function isCompiled({ files = {} }: Pick<Manifest, 'files'>): boolean {
  return Object.hasOwn(files, TOKENIZER_IMAGE)
}
