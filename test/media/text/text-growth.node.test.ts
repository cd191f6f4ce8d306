import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Manifest, TaskName } from '../../../src/catalog/manifest.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { isVergeError } from '../../../src/core/errors.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { WorkLane } from '../../../src/core/work.ts'
import { ChatTemplate } from '../../../src/generate/chat.ts'
import { ControlText } from '../../../src/generate/control-text.ts'
import { Detokenizer } from '../../../src/generate/detokenizer.ts'
import { StopStrings } from '../../../src/generate/stop.ts'
import { addedTokensOf } from '../../../src/media/text/added-tokens.ts'
import { alignedOf } from '../../../src/media/text/aligned.ts'
import { AddedTable } from '../../../src/media/text/compiled/added-table.ts'
import { compileTokenizer } from '../../../src/media/text/compiled/compile.ts'
import { compileStep } from '../../../src/media/text/compiled/compile-step.ts'
import { TokenizerImage } from '../../../src/media/text/compiled/format.ts'
import { joinedTokens } from '../../../src/media/text/decode.ts'
import { normalizerOf } from '../../../src/media/text/normalize.ts'
import type { StepCounter } from '../../../src/media/text/piece.ts'
import { preTokenizerOf } from '../../../src/media/text/pre-tokenize.ts'
import { TextTokenizer } from '../../../src/media/text/tokenizer.ts'
import { createTasks } from '../../../src/tasks/index.ts'
import templates from '../../fixtures/chat-templates.json'
import { ManualClock } from '../../fixtures/clock.ts'
import golden from '../../fixtures/tokenizers-rust.json'

/**
 * Every text step with its worst inputs: how its work grows with the input. The models' loops count their steps. What is
 * done inside ICU and regular expressions cannot be counted: there the CPU time of this process is compared, the least of
 * several measurements, which other processes do not add to.
 */

/** Twice the input may take 2.5 times the steps. */
const LINEAR = 2.5
/**
 * The same of CPU time, in which collecting garbage and missing the caches count: work that is linear takes twice the time,
 * and work that grows with the square four times.
 */
const LINEAR_TIME = 3
/** Under this, in microseconds, what a run takes by chance is most of it. */
const TOO_SHORT = 8_000
const ATTEMPTS = 12

async function cpuOf(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { system, user } = process.cpuUsage(before)
  return system + user
}

/** By how much the CPU time grows from some units to twice as many. */
async function measuredGrowth(work: (units: number) => unknown, units: number): Promise<number> {
  await work(units)
  let [short, long] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    long = Math.min(long, await cpuOf(() => work(4 * units)))
    if (long < TOO_SHORT) return 1
    short = Math.min(short, await cpuOf(() => work(units)))
    if (short > 0 && long <= LINEAR_TIME ** 2 * short) break
  }
  return Math.sqrt(long / short)
}

/**
 * The least growth at three lengths. Where the work grows with the square it does so at each of them, while what a machine
 * does besides, such as collecting the garbage of a length that has just outgrown a cache, belongs to one.
 */
async function growthOf(work: (units: number) => unknown, units: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (const length of [units, 2 * units, 3 * units]) {
    least = Math.min(least, await measuredGrowth(work, length))
    if (least <= LINEAR_TIME) break
  }
  return least
}

const UNITS = 5_000

function repeated(part: string): (units: number) => string {
  return (units) => part.repeat(Math.ceil(units / part.length)).slice(0, units)
}

function drawn(alphabet: string): (units: number) => string {
  const characters = [...alphabet]
  return (units) => {
    let seed = 11
    let text = ''
    while (text.length < units) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      text += characters[(seed >>> 8) % characters.length]
    }
    return text
  }
}

/** Each is the worst for some step. */
const WORST: Readonly<Record<string, (units: number) => string>> = {
  'marks out of order': (units) => `a${repeated('\u0300\u0316')(units - 1)}`,
  'marks of many classes': drawn('\u0300\u0316\u0323\u0308\u0344\u0f71\u0f72\u05b0\u064b\u3099'),
  'a letter that becomes eighteen': repeated('\ufdfa'),
  spaces: repeated(' '),
  'spaces before a letter': (units) => `${' '.repeat(units - 1)}x`,
  'spaces and line ends': drawn(' \n\r\t'),
  letters: drawn('abcdefghijklmnopqrstuvwxyz'),
  'one letter': repeated('a'),
  'words that are nearly known': repeated(`${'a'.repeat(98)}\u00e9 `),
  'capitals and small letters': drawn('ABab\u01c5\u02b0\u0301'),
  digits: drawn('0123456789'),
  signs: drawn(".,!?-'()[]"),
  Chinese: drawn('\u65e5\u672c\u8a9e\u4e2d\u6587'),
  Hangul: drawn('\u1100\u1161\u11a8\u1112\u1175\u314b\u314f'),
  emoji: drawn('\u{1f44d}\u{1f3fd}\u200d\u{1f1e9}\u{1f1ea}'),
  'halves of characters': repeated('\ud83d'),
  'what is dropped': repeated('\u0001\u200b'),
  everything: drawn("abcABC012 .,!'\n\u65e5\u00e9\u0301\u{1f44d}\u2581"),
}

async function expectLinear(name: string, work: (text: string) => unknown, units = UNITS): Promise<void> {
  const slow: string[] = []
  for (const [input, make] of Object.entries(WORST)) {
    const growth = await growthOf((length) => work(make(length)), units)
    if (growth > LINEAR_TIME) slow.push(`${name} of ${input}: ${growth.toFixed(1)} times for twice the text`)
  }
  expect(slow).toEqual([])
}

const fileOf = (name: keyof typeof golden.cases) => golden.cases[name].file
const parse = (file: unknown, counter?: StepCounter): TextTokenizer =>
  TextTokenizer.parse(new TextEncoder().encode(JSON.stringify(file)), counter)

it('finds work that grows with the square of its input', async () => {
  let sum = 0
  const work = (units: number): void => {
    for (let i = 0; i < (units * units) / 48; i++) sum = (sum ^ i) >>> 1
  }
  expect(await growthOf(work, UNITS)).toBeGreaterThan(LINEAR_TIME)
})

describe('normalizers', () => {
  // One rule, "①" to "1": a double array whose node for the bytes e2 91 a0 has a value.
  it.each([
    { type: 'NFC' },
    { type: 'NFD' },
    { type: 'NFKC' },
    { type: 'NFKD' },
    { type: 'Lowercase' },
    { type: 'StripAccents' },
    { type: 'Nmt' },
    { type: 'ByteLevel' },
    { type: 'Precompiled', precompiled_charsmap: btoa(`\u0008\0\0\0${'\0'.repeat(8)}1\0`) },
    { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '\u2581' },
    { type: 'Replace', pattern: { String: 'a' }, content: 'bcd' },
    { type: 'Strip', strip_left: true, strip_right: true },
    { type: 'Prepend', prepend: '\u2581' },
    { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: true },
    { type: 'Sequence', normalizers: [{ type: 'NFD' }, { type: 'StripAccents' }, { type: 'NFKC' }] },
  ])('$type', async (config) => {
    const charsmaps: Uint8Array[] = []
    const normalizer = normalizerOf(compileStep(config, charsmaps), charsmaps)
    await expectLinear(config.type, (text) => normalizer(alignedOf(text)))
  })
})

/** The patterns of published tokenizers. */
const PATTERNS: Readonly<Record<string, string>> = {
  'Llama 3':
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  o200k:
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  'possessive cl100k':
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s",
  DeepSeek:
    '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  BLOOM: ' ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+',
}

describe('pre-tokenizers', () => {
  it.each([
    { type: 'BertPreTokenizer' },
    { type: 'Whitespace' },
    { type: 'WhitespaceSplit' },
    { type: 'Digits', individual_digits: true },
    { type: 'Punctuation', behavior: 'MergedWithPrevious' },
    { type: 'CharDelimiterSplit', delimiter: 'a' },
    { type: 'FixedLength', length: 3 },
    { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: true },
    { type: 'ByteLevel', add_prefix_space: true, use_regex: true },
    { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Punctuation' }, { type: 'Digits' }] },
    ...Object.values(PATTERNS).map((Regex) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated' })),
  ])('$type', async (config) => {
    const preTokenizer = preTokenizerOf(compileStep(config, []))
    await expectLinear(config.type, (text) => preTokenizer(alignedOf(text)))
  })
})

describe('models', () => {
  const MODELS = [
    'BERT',
    'long words',
    'BPE without an unknown token',
    'BPE, bytes',
    'BPE, some bytes',
    'BPE, prefix',
    'Unigram, bytes',
    'NFKC',
    'WordLevel',
  ] as const

  it.each(MODELS)('%s: counts steps as its text grows', (name) => {
    // As one word, which is the worst for a model.
    const counter = { steps: 0 }
    const tokenizer = parse({ ...fileOf(name), pre_tokenizer: null, normalizer: null }, counter)
    for (const [input, make] of Object.entries(WORST)) {
      const steps = [10_000, 20_000, 40_000].map((units) => {
        counter.steps = 0
        tokenizer.tokens(make(units))
        return counter.steps
      })
      const [first = 0, second = 0, third = 0] = steps
      expect(second, input).toBeLessThanOrEqual(LINEAR * Math.max(first, 1_000))
      expect(third, input).toBeLessThanOrEqual(LINEAR * Math.max(second, 1_000))
      // A heap's and a trie's few steps for each unit, and not as many as its word has letters.
      expect(third, input).toBeLessThanOrEqual(64 * 40_000)
    }
  })

  it('finds in a word with one unknown letter what it takes, and no more', () => {
    const counter = { steps: 0 }
    const tokenizer = parse(fileOf('BERT'), counter)
    const word = `${'ab'.repeat(49)}a\u00a4`
    const { length } = tokenizer.tokens(`${word.slice(0, 99)}\u01c2 `.repeat(500))
    expect(length).toBe(500)
    // The square would be 5,000 a word.
    expect(counter.steps / 500).toBeLessThan(600)
  })
})

describe('decoders', () => {
  it.each([
    undefined,
    { type: 'ByteLevel' },
    { type: 'WordPiece', prefix: '##', cleanup: true },
    { type: 'Metaspace', replacement: '\u2581' },
    { type: 'BPEDecoder', suffix: '</w>' },
    {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
  ])('$type', async (config) => {
    await expectLinear(String(config?.type), (text) => joinedTokens([...text], config && compileStep(config, [])))
  })

  it('write token by token, and hold back what a stop string may begin with', async () => {
    const tokenizer = parse(fileOf('BPE, bytes'))
    const stop = ['a', 'b', 'c', 'd'].map((last) => `${'a'.repeat(255)}${last}${last}`.slice(0, 256))
    const growth = await growthOf((count) => {
      const strings = new StopStrings(stop.map((each) => `${each}!`))
      const detokenizer = new Detokenizer(tokenizer, false)
      const id = tokenizer.tokens('a')[0]?.id ?? 0
      for (let i = 0; i < count; i++) strings.push(detokenizer.push(id))
    }, 1_000)
    expect(growth).toBeLessThanOrEqual(LINEAR_TIME)
  })
})

describe('chats', () => {
  const added = Array.from({ length: 300 }, (_, i) => ({
    id: 300 + i,
    content: `<|reserved_special_token_${i}|>`,
    special: true,
    normalized: false,
  }))

  it('find added tokens and control tokens, however many there are', async () => {
    const model = { type: 'WordLevel', vocab: { a: 0 } }
    const image = new TokenizerImage(compileTokenizer({ model, added_tokens: added }))
    const { before } = addedTokensOf(image, new AddedTable(image))
    const control = new ControlText({
      addedTexts: new Map(added.map(({ content, id }) => [id, content])),
      special: new Set(added.map(({ id }) => id)),
    })
    for (const part of ['<|', '<|reserved_special_token_', '<|reserved_special_token_7|>']) {
      const make = repeated(part)
      expect(await growthOf((units) => before(alignedOf(make(units))), UNITS)).toBeLessThanOrEqual(LINEAR_TIME)
      expect(await growthOf((units) => control.read(control.marked(make(units))), UNITS)).toBeLessThanOrEqual(
        LINEAR_TIME,
      )
    }
  })

  it('are written by the templates of published models', async () => {
    const control = new ControlText({ addedTexts: new Map([[1, '<|end|>']]), special: new Set([1]) })
    const sources = [...new Set(templates.cases.map(({ template }) => template))]
    for (const source of sources) {
      const template = ChatTemplate.parse(new TextEncoder().encode(source))
      const growth = await growthOf((count) => {
        const messages = Array.from({ length: count }, (_, i) => ({
          role: i % 2 === 0 ? 'user' : 'assistant',
          content: 'a',
        }))
        try {
          template.render(messages, { control, bosToken: '', eosToken: '', now: 0, maxLength: 1e9, maxValues: 1e9 })
        } catch (error) {
          // Some refuse what they were not trained for.
          if (!isVergeError(error, 'invalid_request')) throw error
        }
      }, LIMITS.chatMessages / 4)
      expect(growth, source.slice(0, 200)).toBeLessThanOrEqual(LINEAR_TIME)
    }
  })
})

describe('whole tokenizers', () => {
  it.each(['BERT', 'NFKC', 'Nmt', 'BPE, bytes', 'Unigram, bytes', 'ByteLevel as a normalizer'] as const)(
    '%s',
    async (name) => {
      const tokenizer = parse({ ...fileOf(name), post_processor: { type: 'ByteLevel', trim_offsets: true } })
      await expectLinear(name, (text) => tokenizer.encode(text, Number.POSITIVE_INFINITY))
    },
  )

  it('of the review model that ships with Verge', async () => {
    const tokenizer = TextTokenizer.parse(readFileSync(join(ROOT, 'models/reviews/tokenizer.json')))
    await expectLinear('reviews', (text) => tokenizer.encode(text, Number.POSITIVE_INFINITY))
  })
})

describe('tasks, until their run is priced', () => {
  const tasks = createTasks(LIMITS)
  const bodies: readonly (readonly [TaskName, (text: string) => unknown])[] = [
    ['text-classification', (text) => ({ inputs: [text, { text, text_pair: text }] })],
    ['token-classification', (text) => ({ inputs: text, parameters: { stride: 8 } })],
    ['question-answering', (text) => ({ inputs: { question: text, context: text } })],
    ['zero-shot-classification', (text) => ({ inputs: text, parameters: { candidate_labels: ['a', 'b'] } })],
    ['feature-extraction', (text) => ({ inputs: [text, text] })],
    ['sentence-similarity', (text) => ({ inputs: { source_sentence: text, sentences: [text] } })],
    ['text-ranking', (text) => ({ inputs: { query: text, texts: [text, text] } })],
  ]
  const file = {
    ...fileOf('BERT'),
    post_processor: { type: 'BertProcessing', sep: ['[UNK]', 0], cls: ['[UNK]', 0] },
  }

  it.each(bodies)('%s', async (name, body) => {
    const tokenizer = parse(file)
    const priced = new Error('priced')
    const input = (each: string) => ({ name: each, datatype: 'INT64' as const, shape: ['batch', 'length'] })
    const manifest = {
      model: 'm',
      version: '1',
      task: name,
      text: { maxTokens: 128 },
      labels: ['entailment', 'other'],
      inputs: ['input_ids', 'attention_mask'].map(input),
      outputs: [{ name: 'out', datatype: 'FP32', shape: ['batch', 2] }],
      artifacts: [],
    } as unknown as Manifest
    const clock = new ManualClock()
    let pauses = 0
    const lane = new WorkLane({
      clock: { now: () => clock.now(), after: () => () => {}, sleep: async () => void pauses++ },
      stepsBetweenPauses: LIMITS.stepsBetweenPauses,
      leaseMs: 1_000,
    })
    const { signal } = new AbortController()
    const execute = async (text: string): Promise<void> => {
      const model = {
        manifest,
        file: async <T>() => tokenizer as T,
        checkCost: () => {
          throw priced
        },
        perform: <T>(work: Parameters<WorkLane['perform']>[0]) => lane.perform(work, signal) as Promise<T>,
      }
      const refused = await tasks[name]
        .execute({ kind: 'json', value: body(text) }, model as never, async () => new Map())
        .catch((error: unknown) => error)
      // Blank and too long texts are refused before that.
      if (refused !== priced && !isVergeError(refused)) throw refused
    }
    await expectLinear(name, execute)
    expect(clock.now()).toBe(0)
  })

  it('lets the event loop turn while a long text is read', async () => {
    let pauses = 0
    const lane = new WorkLane({
      clock: { now: () => 0, after: () => () => {}, sleep: async () => void pauses++ },
      stepsBetweenPauses: LIMITS.stepsBetweenPauses,
      leaseMs: 1_000,
    })
    const tokenizer = parse(file)
    const words = 'a '.repeat(50_000)
    await lane.perform(tokenizer.read(words), new AbortController().signal)
    expect(pauses).toBeGreaterThanOrEqual(3)
  })
})
