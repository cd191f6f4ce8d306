/** Something about a dependency that a person has to look at. */
export interface Finding {
  /** The package's name. */
  readonly package: string
  /** What tells it apart from others of the package: an advisory's id, a licence, or a kind of problem. */
  readonly what: string
  /** A sentence for whoever decides. */
  readonly message: string
}
