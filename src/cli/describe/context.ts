import type { TaskName } from '../../catalog/manifest.ts'
import type { Signature } from '../../core/tensors.ts'
import type { Description } from '../pack/description.ts'
import type { Family } from './families/family.ts'
import type { LabelOutcome } from './labels.ts'
import { type Settings, stringOf } from './settings.ts'
import type { ImageWishes } from './wishes.ts'

/** The part of a description that a task needs. */
export type TaskFields = Pick<
  Description,
  'task' | 'labels' | 'activation' | 'preprocess' | 'postprocess' | 'tokenizer' | 'chatTemplate'
>

export interface Guess {
  readonly fields: Partial<TaskFields>
  readonly notes: readonly string[]
}

/** What a person asks for. */
export type Said = { readonly [K in keyof TaskFields]?: TaskFields[K] | undefined } & {
  /** The vocabulary is trimmed after this. */
  readonly trims?: boolean | undefined
}

/** A model with the files beside it and a person's options, before its task is known. */
export interface ModelContext {
  readonly files: ReadonlyMap<string, string>
  readonly signature: Signature
  /** `config.json`; empty if it does not exist. */
  readonly config: Settings
  readonly said: Said
  /** The person's options for image preprocessing. */
  readonly wishes: ImageWishes
  /** The well-known family that a person names with `--preset`. */
  readonly family: Family | undefined
  /** What the model's file says of itself (`metadata_props`), by key. */
  readonly metadata: ReadonlyMap<string, string>
}

/** The same, for a describer of one task. */
export interface DescribeContext extends ModelContext {
  readonly task: TaskName
  /** How the task is known, for the note on it: "as requested". */
  readonly why: string
  /** Of `config.json`: `DetrForObjectDetection`. */
  readonly architecture: string | undefined
  /** `preprocessor_config.json`. */
  readonly processor: Settings | undefined
  /** timm's own settings, wherever they are. */
  readonly timm: Settings | undefined
}

/**
 * Describes a model of one task. A problem is the reason why the model is served as raw tensors.
 * @throws UsageError if the person's options contradict the model, or a file beside it cannot be read
 */
export type Describer = (context: DescribeContext) => Promise<LabelOutcome<Guess>>

/** Recognises and describes models by more than the name of an architecture; undefined for other models. */
export type Recogniser = (context: ModelContext) => Promise<LabelOutcome<Guess> | undefined>

/** The first architecture that `config.json` names. */
export function architectureOf({ architectures }: Settings): string | undefined {
  const [first] = Array.isArray(architectures) ? (architectures as unknown[]) : []
  const name = stringOf(first)
  return name !== undefined && /^\w{1,100}$/.test(name) ? name : undefined
}

/** The first note of every description. */
export function taskNote({ task, why }: Pick<DescribeContext, 'task' | 'why'>): string {
  return `task ${task}, ${why}`
}
