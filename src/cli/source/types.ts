import type { SourceProgress } from './download.ts'
import type { Patience } from './retry.ts'

/** A model on this machine, wherever it came from. */
export interface ModelSource {
  readonly kind: 'file' | 'folder' | 'url' | 'hub'
  /** For people and reports: no credentials, and no folders of this machine. */
  readonly label: string
  /** Where others find it: `hf:org/name@commit`, or the address. Undefined for what came from this machine's disk. */
  readonly origin?: string
  /** Absolute path of the `.onnx` file: of the source, or made of it. Files of its external data lie where it says, relative to it. */
  readonly modelFile: string
  /** Settings that belong to the model, by name: `config.json`, `tokenizer.json`, `README.md` ... */
  readonly files: ReadonlyMap<string, string>
  /** ONNX files of the source that were not chosen, relative to it: other precisions, other parts. */
  readonly others: readonly string[]
  /** What was made of the source before, for people. */
  readonly notes?: readonly string[]
  /** As the hub states it. */
  readonly licence?: string
  /** The commit. */
  readonly revision?: string
}

export interface OpenSourceOptions {
  /** Where downloads are kept: `<cacheDir>/hub` and `<cacheDir>/url`. */
  readonly cacheDir: string
  /** HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are read. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly progress?: SourceProgress | undefined
  readonly signal?: AbortSignal | undefined
  /** Which `.onnx` file of a folder or repository. */
  readonly file?: string | undefined
  /** Allows plain http to other machines than this one. */
  readonly insecure?: boolean | undefined
  /** How patient downloads are; for tests. */
  readonly patience?: Patience | undefined
}
