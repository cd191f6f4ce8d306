/** A file of a model, by its name in the manifest, and what is made of it: the same wherever it is read, because that is kept. */
export interface ModelFile<T = unknown> {
  readonly name: string
  readonly parse: (bytes: Uint8Array) => T
}
