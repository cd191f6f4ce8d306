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

/** What a signed model was last, kept when it is removed or when its signature is given up: its generations go on from there. */
export const LAST_RELEASE_PREFIX = 'last-release/'

export function lastReleaseKey(model: string): string {
  return LAST_RELEASE_PREFIX + model
}
