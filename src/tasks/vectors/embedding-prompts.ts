import type { Manifest } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { settingsOf } from './embedding-output.ts'

/** A text that stands before an embedded one. */
export interface Prompt {
  /** As the model's settings name it; undefined for a text of the request's own, or none. */
  readonly name?: string
  readonly text: string
}

/**
 * The model's prompt of a name, or its default one.
 * @throws invalid_request if the model has none of that name
 */
function promptNamed(manifest: Manifest, name: string | undefined): Prompt {
  const { prompts = {}, defaultPrompt } = settingsOf(manifest)
  const wanted = name ?? defaultPrompt
  if (wanted === undefined) return { text: '' }
  const text = Object.hasOwn(prompts, wanted) ? prompts[wanted] : undefined
  if (text !== undefined) return { name: wanted, text }
  const names = Object.keys(prompts)
  throw new VergeError(
    name === undefined ? 'manifest_invalid' : 'invalid_request',
    `Model "${manifest.model}" has no prompt "${wanted.slice(0, 64)}". ${names.length === 0 ? 'It has no prompts.' : `It has: ${names.join(', ')}.`}`,
    { details: { field: 'prompt_name', prompts: names } },
  )
}

/** The first of these prompts that the model has, else its default one. */
export function firstPrompt(manifest: Manifest, names: readonly string[]): Prompt {
  const { prompts = {} } = settingsOf(manifest)
  return promptNamed(
    manifest,
    names.find((name) => Object.hasOwn(prompts, name)),
  )
}

/**
 * The prompt that a request asks for.
 * @throws invalid_request if it asks for two
 */
export function askedPrompt(
  manifest: Manifest,
  { prompt, prompt_name: name }: { readonly prompt?: string | undefined; readonly prompt_name?: string | undefined },
): Prompt {
  if (prompt === undefined) return promptNamed(manifest, name)
  if (name === undefined) return { text: prompt }
  throw new VergeError('invalid_request', 'The request has both "prompt" and "prompt_name". Remove one of them.', {
    details: { field: 'prompt' },
  })
}
