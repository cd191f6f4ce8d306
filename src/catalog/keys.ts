/** Where everything lies, in every store; docs/architecture.md shows the same table. */
export { blobKey } from '../weights/blob.ts'

export const ALIAS_PREFIX = 'alias/'

/** One version of a model: immutable. */
export function manifestKey(model: string, version: string): string {
  return `manifest/${model}/${version}`
}

/** A model's one mutable record. */
export function aliasKey(model: string): string {
  return ALIAS_PREFIX + model
}
