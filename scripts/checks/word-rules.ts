import { parseSync, Visitor } from 'oxc-parser'

/** A word that messages and documents avoid, and what to write in its place. */
interface AvoidedWord {
  readonly pattern: RegExp
  readonly instead: string
}

/** Words that the documentation of Cloudflare, ONNX Runtime and Hono would not use for this. */
const AVOIDED: readonly AvoidedWord[] = [
  { pattern: /\bmend(?:s|ed|ing)?\b/gi, instead: 'fix, correct' },
  { pattern: /\bstray(?:s|ed|ing)?\b/gi, instead: 'differ too much' },
  // "There is none" is plain; "what was sent is none" is not.
  { pattern: /(?<!\bthere\s)\b(?:is|are|was|were)\s+none\b/gi, instead: 'is not a ..., is not one of ...' },
  { pattern: /\bnobody\b/gi, instead: 'no caller, no one, nothing' },
  { pattern: /\b(?:somebody|whoever)\b/gi, instead: 'the caller, the operator, another isolate' },
  { pattern: /\b(?:dear|dearer)\b/gi, instead: 'over the cost limit, costs more' },
  { pattern: /\b(?:go|goes|went|going)\s+on\b/gi, instead: 'continue, forward' },
  { pattern: /\bhearing\b/gi, instead: 'voice activity' },
  { pattern: /\b(?:thereof|whereupon|herewith|forthwith)\b/gi, instead: 'a sentence of its own' },
]

/** An avoided word where it stands. */
export interface FoundWord {
  readonly line: number
  readonly word: string
  readonly instead: string
}

/** Avoided words in a Markdown document. Code is not prose: it quotes names. */
export function wordsInDocument(source: string): FoundWord[] {
  return wordsIn(source.replace(/^```[\s\S]*?^```|`[^`\n]*`/gm, blank))
}

/**
 * Avoided words in the messages of a module: in strings and templates that hold a space. What has no space is a name, and
 * comments are not read by users.
 * @param path of the module, for its file type
 */
export function wordsInMessages(path: string, source: string): FoundWord[] {
  // All but the messages becomes blank, so that lines stay as they are.
  let messages = ''
  const spans: (readonly [start: number, end: number])[] = []
  new Visitor({
    Literal: ({ value, start, end }) => {
      if (typeof value === 'string' && /\s/.test(value)) spans.push([start, end])
    },
    TemplateLiteral: ({ quasis }) => {
      if (quasis.some(({ value }) => /\s/.test(value.raw)))
        spans.push(...quasis.map(({ start, end }) => [start, end] as const))
    },
  }).visit(parseSync(path, source).program)
  for (const [start, end] of spans.sort(([left], [right]) => left - right)) {
    messages += blank(source.slice(messages.length, start)) + source.slice(start, end)
  }
  return wordsIn(messages)
}

function wordsIn(text: string): FoundWord[] {
  const found = AVOIDED.flatMap(({ pattern, instead }) =>
    [...text.matchAll(pattern)].map((match) => ({
      line: text.slice(0, match.index).split('\n').length,
      word: match[0].replace(/\s+/g, ' '),
      instead,
    })),
  )
  return found.sort((left, right) => left.line - right.line)
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, ' ')
}
