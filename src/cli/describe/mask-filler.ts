import { LIMITS } from '../../core/limits.ts'
import { type DescribeContext, type Guess, taskNote } from './context.ts'
import type { LabelOutcome } from './labels.ts'
import { objectOf, readSettings, type Settings, stringOf } from './settings.ts'
import { textFields } from './text-classifier.ts'

/** A model that finds the words that a text lacks. */
export async function describeMaskFiller(context: DescribeContext): Promise<LabelOutcome<Guess>> {
  const vocabulary = vocabularyOf(context)
  if (vocabulary === undefined) {
    return { problem: 'it has no output [batch, tokens, vocabulary] with a vocabulary of known size' }
  }
  const text = await textFields(context)
  if ('problem' in text) return text
  const { notes, preprocess, tokenizer } = text.value
  const maskToken = preprocess?.text?.maskToken ?? (await maskTokenOf(context))
  if (maskToken === undefined) {
    return { problem: 'no file names its mask token (mask_token in tokenizer_config.json)' }
  }
  const most = Math.floor(LIMITS.vocabularyScores / vocabulary)
  const { maxTokens = most } = preprocess?.text ?? {}
  const limit =
    maxTokens > most
      ? [`at the edge a text may have ${most} tokens, because the model gives ${vocabulary} scores for each`]
      : []
  return {
    value: {
      fields: {
        task: context.task,
        tokenizer,
        preprocess: { ...preprocess, text: { ...preprocess?.text, maxTokens, maskToken } },
      },
      notes: [taskNote(context), `${maskToken} stands in place of a word`, ...notes, ...limit],
    },
  }
}

function vocabularyOf({ signature }: DescribeContext): number | undefined {
  const scores = signature.outputs.filter(({ shape }) => shape.length === 3)
  const size = (scores.find(({ name }) => name === 'logits') ?? scores[0])?.shape[2]
  return typeof size === 'number' && size > 0 ? size : undefined
}

/** As the tokenizer's settings say; else the only special token of the tokenizer that calls itself a mask. */
async function maskTokenOf({ files }: DescribeContext): Promise<string | undefined> {
  const settings = (await readSettings(files, 'tokenizer_config.json')) ?? {}
  const named = contentOf(settings.mask_token)
  if (named !== undefined) return named
  const tokenizer = (await readSettings(files, 'tokenizer.json', LIMITS.originTokenizerBytes)) ?? {}
  const added = Array.isArray(tokenizer.added_tokens) ? (tokenizer.added_tokens as unknown[]) : []
  const masks = added.flatMap((token) => {
    const content = contentOf(token)
    return content !== undefined && /^[[<]mask[\]>]$/i.test(content) ? [content] : []
  })
  return masks.length === 1 ? masks[0] : undefined
}

/** A token as a text, or as an object with its settings. */
function contentOf(token: unknown): string | undefined {
  const settings: Settings | undefined = objectOf(token)
  return stringOf(token) ?? stringOf(settings?.content)
}
