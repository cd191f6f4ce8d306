import type { Guess, TaskFields } from '../context.ts'
import type { Settings } from '../settings.ts'
import type { Family } from './family.ts'

/** `config.json` of a family under the one beside a model; the family decides the architecture. */
export function familyConfig(config: Settings, family: Family | undefined): Settings {
  if (family?.config === undefined) return config
  const { architectures } = family.config
  return { ...family.config, ...config, ...(architectures !== undefined && { architectures }) }
}

/** A description with a family's own settings laid over it. */
export function withFamily({ fields, notes }: Guess, family: Family | undefined): Guess {
  if (family === undefined) return { fields, notes }
  const preprocess = merged(fields.preprocess, family.preprocess) as TaskFields['preprocess']
  const postprocess = merged(fields.postprocess, family.postprocess) as TaskFields['postprocess']
  return {
    fields: { ...fields, ...(preprocess && { preprocess }), ...(postprocess && { postprocess }) },
    notes: [...notes, `settings of the preset are from ${family.source}`],
  }
}

type Sections = Readonly<Record<string, object | undefined>>

function merged(found: Sections | undefined, own: Sections | undefined): Sections | undefined {
  if (own === undefined) return found
  const sections = Object.entries(own).map(([name, section]) => [name, { ...found?.[name], ...section }])
  return { ...found, ...Object.fromEntries(sections) }
}
