/** The operator's names for models, such as `@cf/baai/bge-m3`, and the models of Verge that they mean. */
export type ModelNames = ReadonlyMap<string, string>

/** The model that a name means: an entry of the operator's table first, then the name as it is. */
export function modelNamed(asked: string, names: ModelNames | undefined): string {
  return names?.get(asked) ?? asked
}
