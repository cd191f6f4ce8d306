import type { ProtocolName } from '../../src/protocols/names.ts'

/** The table that a row stands in: one for each protocol, and one for the pipelines of transformers.js. */
export type CompatibilityGroup = ProtocolName | 'pipelines'

interface Row {
  readonly group: CompatibilityGroup
  /** What a client does, in a few words of Markdown; of a pipeline its name first. */
  readonly what: string
  readonly note?: string
}

/** What a client can do, and the test that proves it. */
export interface WorkingRow extends Row {
  readonly state: 'works'
  /** The package that proves it, or `its documentation` where there is none: requests written down from there. */
  readonly client: string
  readonly proof: {
    /** Path in the repository. */
    readonly file: string
    /** Title of the test, as it is written there. */
    readonly test: string
  }
  /** A command that does the same; `$VERGE` is the address of the Worker. It runs as it is printed. */
  readonly curl: string
}

/** What a client of the protocol might try, and why it does not work. */
export interface RefusedRow extends Row {
  readonly state: 'not yet' | 'declined'
  readonly why: string
}

export type CompatibilityRow = WorkingRow | RefusedRow

/** A model that commands name. */
export interface CompatibilityModel {
  /** Fields of its verge.json. Version, licence and artifacts are added where they are left out. */
  readonly settings: Readonly<Record<string, unknown>>
  /** Its files by their names, or the folder in the repository where they lie. */
  readonly files: ReadonlyMap<string, Uint8Array> | string
}

/** Module of `rows/`. */
export interface RowsModule {
  readonly rows: readonly CompatibilityRow[]
}

/** Module of `models/`: what the commands of the rows of the same name need. */
export interface ModelsModule {
  readonly models: Readonly<Record<string, () => Promise<CompatibilityModel>>>
  /** Files in the folder that commands run in. */
  readonly samples?: Readonly<Record<string, () => Promise<Uint8Array>>>
  /** Further names of models, as MODEL_NAMES has them. */
  readonly names?: Readonly<Record<string, string>>
}
