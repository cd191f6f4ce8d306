import { basename, dirname } from 'node:path'
import type { ModelSource } from '../source/source.ts'

/** Names that say nothing of the model, and so give way to the folder's. */
const PLAIN = /^(model|network|net|onnx)([_-](quantized|fp16|fp32|int8|uint8|q4|q4f16|bnb4))?$/

/**
 * The default name of a model: that of the repository, of the file, or of the folder if the file has a generic name.
 */
export function defaultName({ kind, label, modelFile }: Pick<ModelSource, 'kind' | 'label' | 'modelFile'>): string {
  if (kind === 'hub') return cleanName(label.replace(/^hf:/, '').replace(/@.*$/, '').split('/').at(-1) ?? '')
  if (kind === 'folder') return cleanName(label)
  const folders = kind === 'url' ? pathOf(label) : [basename(dirname(dirname(modelFile))), basename(dirname(modelFile))]
  const names = [basename(modelFile).replace(/\.onnx$/i, ''), ...folders.reverse()]
  return cleanName(names.find((name) => name !== '' && !PLAIN.test(name.toLowerCase())) ?? '')
}

/** Folders of an address, without host and file. */
function pathOf(address: string): string[] {
  const folders = new URL(address).pathname.split('/').slice(1, -1)
  return folders.map((folder) => {
    try {
      return decodeURIComponent(folder)
    } catch {
      return folder
    }
  })
}

/** Converts a text to a valid model name. */
function cleanName(text: string): string {
  const plain = text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64)
    .replace(/[^a-z0-9]+$/, '')
  return plain === '' ? 'model' : plain
}

/** The version after those that there are: the greatest whole number among them and one. Other names are left aside. */
export function nextVersion(existing: readonly string[]): string {
  const numbers = existing.filter((version) => /^\d{1,15}$/.test(version)).map(Number)
  return String(Math.max(0, ...numbers) + 1)
}
