import type { ModelInfo } from '../../models.ts'

/** Inputs that show what a shipped model can do; other models have the example of their task. */
const SHIPPED: Readonly<Record<string, readonly string[]>> = {
  reviews: [
    'A wonderful film: funny, moving and beautifully played.',
    'Two hours of my life that I will not get back.',
    'A fine cast, and not one line that is worth their time.',
  ],
  abacus: ['What is 27 plus 58?', 'Subtract 9 from 71.', '6+88=?', 'Who are you?'],
}

const QUESTIONS = [
  'Who are you?',
  'Write a short poem about the sea.',
  'Explain in one sentence what a web server does.',
]
const BEGINNINGS: Readonly<Record<string, readonly string[]>> = { abacus: ['27 plus 58 is', '71 minus 9 is'] }

/** Texts to try, the model's own first; at least one. */
export function exampleTexts({ example, name }: ModelInfo): readonly string[] {
  return (
    SHIPPED[name] ?? [
      typeof example?.inputs === 'string' ? example.inputs : 'The quick brown fox jumps over the lazy dog.',
    ]
  )
}

/** What to say to a model that chats. */
export function exampleQuestions({ name }: ModelInfo): readonly string[] {
  return SHIPPED[name] ?? QUESTIONS
}

/** Texts to continue. */
export function exampleBeginnings({ name }: ModelInfo): readonly string[] {
  return BEGINNINGS[name] ?? ['Once upon a time']
}

/** A field of the example's `inputs`, where it has the type that a panel expects. */
export function exampleText({ example }: ModelInfo, field: string, otherwise: string): string {
  const value = fieldOf(example?.inputs, field)
  return typeof value === 'string' ? value : otherwise
}

export function exampleList(
  { example }: ModelInfo,
  field: string | undefined,
  otherwise: readonly string[],
): readonly string[] {
  const value = field === undefined ? example?.inputs : fieldOf(example?.inputs, field)
  const texts = Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
  return texts.length > 0 ? texts : otherwise
}

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[field] : undefined
}
