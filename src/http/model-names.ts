/** The operator's names for models, such as `@cf/baai/bge-m3`, and the models of Verge that they mean. */
export type ModelNames = ReadonlyMap<string, string>

/** The version of a model that a name means to Ollama's clients where it says no other; no model of Verge has one. */
const LATEST = /:latest$/

/** The model that a name means: an entry of the operator's table first, then the name as it is. */
export function modelNamed(asked: string, names: ModelNames | undefined): string {
  const plain = asked.replace(LATEST, '')
  return names?.get(asked) ?? names?.get(plain) ?? plain
}
