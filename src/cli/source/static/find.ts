import { isObject } from '../../../core/objects.ts'
import { folderOf, joinedPath } from '../paths.ts'

/** Where sentence-transformers puts its first module. */
export const STATIC_FOLDER = '0_StaticEmbedding'

const WEIGHTS = ['model.safetensors', `${STATIC_FOLDER}/model.safetensors`]

/** Files of a source that may be a static embedding, relative to it. */
export interface StaticFiles {
  readonly weights: string
  readonly tokenizer: string | undefined
}

/**
 * What may be a static embedding: of a source without an ONNX file its `model.safetensors`, and any safetensors file that
 * is asked for by its path.
 */
export function staticFiles(paths: readonly string[], file?: string): StaticFiles | undefined {
  const wanted = file?.replaceAll('\\', '/').replace(/^\.\//, '')
  if (wanted === undefined && paths.some((path) => path.toLowerCase().endsWith('.onnx'))) return undefined
  const candidates = wanted === undefined ? WEIGHTS : [wanted].filter((path) => path.endsWith('.safetensors'))
  const weights = candidates.find((path) => paths.includes(path))
  if (weights === undefined) return undefined
  const beside = joinedPath(folderOf(weights), 'tokenizer.json')
  return { weights, tokenizer: [beside, 'tokenizer.json'].find((path) => paths.includes(path)) }
}

/**
 * Whether settings say that a model is a static embedding, before its weights are fetched.
 * @param config text of `config.json`, as model2vec writes it
 * @param modules text of `modules.json`, as sentence-transformers writes it
 */
export function saysStatic(config: string | undefined, modules: string | undefined): boolean {
  const settings = jsonOf(config)
  if (isObject(settings) && settings.model_type === 'model2vec') return true
  const list = jsonOf(modules)
  return (
    Array.isArray(list) &&
    list.some((module) => isObject(module) && String(module.type).split('.').at(-1) === 'StaticEmbedding')
  )
}

function jsonOf(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}
