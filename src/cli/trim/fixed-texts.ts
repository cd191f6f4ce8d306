import { DEFAULT_TEMPLATE } from '../../tasks/zero-shot-classification.ts'
import type { Description } from '../pack/description.ts'

/** Texts that the model's task adds to those of callers, whatever their language is: prompts, and the words of hypotheses. */
export function fixedTexts({ preprocess, task }: Description): string[] {
  const prompts = Object.values(preprocess?.embedding?.prompts ?? {})
  return [...prompts, ...(task === 'zero-shot-classification' ? [DEFAULT_TEMPLATE.replace('{}', '')] : [])]
}

/** How texts of callers reach the tokenizer. */
export function spelling({ preprocess }: Description): (text: string) => string {
  return preprocess?.embedding?.lowercase === true ? (text) => text.toLowerCase() : (text) => text
}
