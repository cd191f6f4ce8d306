import { baseOf, folderOf } from './paths.ts'

/** Files beside a model, or in a folder beside it, that describe it. */
const SETTINGS = new Set([
  'verge.json',
  'config.json',
  'config.min.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'generation_config.json',
  'chat_template.jinja',
  'preprocessor_config.json',
  // sentence-transformers'
  'modules.json',
  'sentence_bert_config.json',
  'config_sentence_transformers.json',
  '1_Pooling/config.json',
  '1_SpladePooling/config.json',
  'README.md',
  'LICENSE',
  'LICENSE.md',
  'LICENSE.txt',
])

/**
 * The settings that belong to a model, by name: those in its own folder, and those in the folder above where its own is
 * called `onnx`, which is how Optimum and transformers.js lay out a repository.
 * @param paths with forward slashes, relative to the source
 */
export function settingsOf(model: string, paths: readonly string[]): Map<string, string> {
  const own = folderOf(model)
  const folders = baseOf(own) === 'onnx' ? [folderOf(own), own] : [own]
  // A model further down, with nothing beside it, has its settings at the top.
  if (own !== '' && !folders.includes('')) folders.unshift('')
  const found = new Map<string, string>()
  for (const folder of folders) {
    for (const path of paths) {
      const name = folder === '' ? path : path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined
      if (name !== undefined && SETTINGS.has(name)) found.set(name, path)
    }
  }
  return found
}
