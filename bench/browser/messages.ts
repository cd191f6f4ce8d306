/** What the page's script asks of the web worker. Addresses are of the server that serves the page. */
export interface Comparison {
  /** The plain ONNX file, and what Verge's own engine makes of it. */
  readonly onnx: string
  readonly own: string
  /** Tokens of a text. */
  readonly lengths: readonly number[]
  readonly rounds: number
  /** How long each engine is measured in a round, and warmed up before. */
  readonly roundMs: number
  readonly warmUpMs: number
}

export interface Compared {
  readonly length: number
  /** Milliseconds of each run, by round. */
  readonly own: readonly (readonly number[])[]
  readonly web: readonly (readonly number[])[]
  /** Of the first run after loading. */
  readonly ownFirstMs: number
  readonly webFirstMs: number
  /** Cosine of the two engines' first outputs. */
  readonly cosine: number
}

export interface ComparedAll {
  readonly ownLoadMs: number
  readonly webLoadMs: number
  readonly relaxed: boolean
  readonly lengths: readonly Compared[]
}
