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
  { pattern: /\banew\b/gi, instead: 'again' },
  { pattern: /\b[Ii]ts operator has to\b/g, instead: 'say what to do: Push the model again ...' },
  { pattern: /\bno URL is ever\b/gi, instead: 'Verge does not fetch URLs' },
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

/** Names that the glossary's words replaced, in any case and within longer names, and what to write in their place. */
const RETIRED: readonly AvoidedWord[] = [
  { pattern: /turnstile/i, instead: 'run queue' },
  { pattern: /hearing|heard/i, instead: 'voice activity' },
  { pattern: /workbench/i, instead: 'build context' },
  { pattern: /stray/i, instead: 'differ' },
  { pattern: /^mend|mend$/, instead: 'fix' },
  { pattern: /^dear|dear$|afford/i, instead: 'cost, over the cost limit' },
  { pattern: /(?:quant|token|normal)is(?:e|ed|er|es|ing|ation)/i, instead: 'quantize, tokenize, normalize' },
  { pattern: /unauthoris/i, instead: 'unauthorized' },
]

/** Retired words in the names that a module declares or uses. @param path of the module: its own name counts too */
export function wordsInNames(path: string, source: string): FoundWord[] {
  const found: FoundWord[] = []
  const seen = new Set<string>()
  const note = (name: string, start: number): void => {
    const retired = seen.has(name) ? undefined : RETIRED.find(({ pattern }) => pattern.test(name))
    seen.add(name)
    if (retired) found.push({ line: source.slice(0, start).split('\n').length, word: name, instead: retired.instead })
  }
  note(path.slice(path.lastIndexOf('/') + 1).replace(/\..*$/, ''), 0)
  new Visitor({
    Identifier: ({ name, start }) => note(name, start),
    PrivateIdentifier: ({ name, start }) => note(name, start),
  }).visit(parseSync(path, source).program)
  return found
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
