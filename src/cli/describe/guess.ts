import type { Signature } from '../../core/tensors.ts'
import { architectureOf, type Guess, type ModelContext, type Said } from './context.ts'
import { familyConfig, withFamily } from './families/apply.ts'
import type { Family } from './families/family.ts'
import type { LabelOutcome } from './labels.ts'
import { describerOf, HEADS, RECOGNISERS } from './registry.ts'
import { readSettings, type Settings } from './settings.ts'
import { timmSettings } from './timm.ts'
import { type ImageWishes, saysAnything } from './wishes.ts'

interface More {
  /** The well-known family that a person names. */
  readonly family?: Family | undefined
  /** What the model's file says of itself. */
  readonly metadata?: ReadonlyMap<string, string> | undefined
}

/**
 * Guesses the task of a model from the files beside it; `said` has the person's options. A problem is the reason why
 * the model is served as raw tensors.
 * @param wishes the person's options for image preprocessing
 * @throws UsageError if they contradict the model
 */
export async function guessTask(
  files: ReadonlyMap<string, string>,
  signature: Signature,
  said: Said,
  wishes: ImageWishes = {},
  { family, metadata = NOTHING }: More = {},
): Promise<LabelOutcome<Guess>> {
  const config = familyConfig((await readSettings(files, 'config.json')) ?? {}, family)
  const asked = family === undefined ? said : { ...said, task: said.task ?? family.task }
  const guess = await guessOf({ files, signature, config, said: asked, wishes, family, metadata })
  return 'problem' in guess ? guess : { value: withFamily(guess.value, family) }
}

const NOTHING: ReadonlyMap<string, string> = new Map()

async function guessOf(context: ModelContext): Promise<LabelOutcome<Guess>> {
  const { files, config, said, wishes, family } = context
  const pictures = saysAnything(wishes)
  if (!pictures) {
    for (const recognise of RECOGNISERS) {
      const recognised = await recognise(context)
      if (recognised !== undefined) return recognised
    }
  }
  const architecture = architectureOf(config)
  const processor = (await readSettings(files, 'preprocessor_config.json')) ?? family?.processor
  const timm = timmSettings(config, processor)
  const known =
    said.task === undefined
      ? taskOf(architecture, timm !== undefined, pictures)
      : { task: said.task, why: family === undefined ? 'as requested' : 'by the preset' }
  const describe = known && describerOf(known.task)
  if (known === undefined || describe === undefined) return { problem: whyNone(config, files) }
  return describe({ ...context, ...known, architecture, processor, timm })
}

function taskOf(architecture: string | undefined, isTimm: boolean, pictures: boolean) {
  const head = HEADS.find(([pattern]) => architecture !== undefined && pattern.test(architecture))
  if (head !== undefined) return { task: head[1], why: `by its architecture ${architecture}` }
  if (isTimm) return { task: 'image-classification', why: "by timm's settings" } as const
  return pictures ? ({ task: 'image-classification', why: 'by the given image preprocessing' } as const) : undefined
}

function whyNone(config: Settings, files: ReadonlyMap<string, string>): string {
  if (!files.has('config.json')) return 'the folder has no config.json, which names its task'
  const architecture = architectureOf(config)
  return architecture === undefined
    ? 'its config.json does not name a task'
    : `its architecture ${architecture} belongs to no task that Verge knows`
}
