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

/** The index of the catalogue, for lists: a head that names immutable pages. Made of the aliases, and made again where it is lost. */
const INDEX_PREFIX = 'index/'
export const INDEX_HEAD_KEY = `${INDEX_PREFIX}head`
export const INDEX_PAGE_PREFIX = `${INDEX_PREFIX}page/`
