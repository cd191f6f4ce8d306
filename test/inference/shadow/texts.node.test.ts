import { describe, expect, it } from 'vitest'
import { decodeTokens } from '../../../src/engine/generate.ts'
import { retraced, TextRecorder } from '../../../src/inference/shadow/texts.ts'
import type { GenerationOptions } from '../../../src/serving/serving.ts'

const SIZE = 8
const END = 0
const { signal } = new AbortController()

/** Logits after tokens: one token is the likeliest, by far. */
type Language = (tokens: readonly number[]) => Float32Array

function favouring(next: (tokens: readonly number[]) => number, greatest = 5): Language {
  return (tokens) => Float32Array.from({ length: SIZE }, (_, token) => (token === next(tokens) ? greatest : token / 10))
}

/** Counts up, and ends after 7. */
const counting = favouring((tokens) => ((tokens.at(-1) ?? 0) + 1) % SIZE)

/** What a model of this language writes, as an engine does. */
function writing(language: Language, prompt: readonly number[], options: GenerationOptions) {
  const seen: number[] = []
  const feed = async (tokens: readonly number[]): Promise<Float32Array> => {
    seen.push(...tokens)
    return language(seen)
  }
  return decodeTokens({ cache: [], branch: undefined }, feed, prompt, { ...options, prefillTokens: 100 })
}

const greedy = (logits: Float32Array): number => logits.indexOf(Math.max(...logits))

async function written(language: Language, more: Partial<GenerationOptions> = {}, most = 100) {
  const options = { stopTokens: new Set([END]), maxNewTokens: 100, choose: greedy, signal, ...more }
  const recorder = new TextRecorder([2], options, most)
  const tokens: number[] = []
  for await (const token of writing(language, [2], recorder.options)) tokens.push(token)
  return { text: recorder.written, tokens }
}

async function compared(language: Language, text: Awaited<ReturnType<typeof written>>['text'], givesWay = () => false) {
  if (text === undefined) throw new Error('Nothing was written.')
  const runs: number[] = []
  const counted: Language = (tokens) => {
    runs.push(tokens.length)
    return language(tokens)
  }
  const generate = async (prompt: readonly number[], options: GenerationOptions) => ({
    tokens: writing(counted, prompt, options),
  })
  return { agreement: await retraced(text, { generate, givesWay, signal }), runs: runs.length }
}

describe('texts of two versions', () => {
  it('agree where the same tokens are the likeliest, to the end', async () => {
    const { text, tokens } = await written(counting)
    expect(tokens).toEqual([3, 4, 5, 6, 7])
    expect(text?.places.map((place) => place.written)).toEqual([3, 4, 5, 6, 7, END])
    expect(text?.whole).toBe(true)
    expect(await compared(counting, text)).toEqual({ agreement: { agrees: true, largest: 0 }, runs: 6 })
  })

  it('agree where one of many places differs, and nothing follows from it', async () => {
    const { text } = await written(counting)
    const slip = favouring((tokens) => (tokens.at(-1) === 4 ? 1 : ((tokens.at(-1) ?? 0) + 1) % SIZE), 4)
    expect((await compared(slip, text)).agreement).toEqual({ agrees: true, largest: 1 })
  })

  it('disagree where the other version would write something else', async () => {
    const { text } = await written(counting)
    const down = favouring((tokens) => ((tokens.at(-1) ?? 0) + SIZE - 1) % SIZE)
    expect((await compared(down, text)).agreement?.agrees).toBe(false)
    const broken: Language = () => new Float32Array(SIZE).fill(Number.NaN)
    expect((await compared(broken, text)).agreement).toEqual({ agrees: false, largest: 0 })
  })

  it('disagree where the other version would not end', async () => {
    const { text } = await written(favouring((tokens) => (tokens.length > 1 ? END : 3)))
    expect(text?.places).toHaveLength(2)
    expect(
      (
        await compared(
          favouring(() => 3),
          text,
        )
      ).agreement?.agrees,
    ).toBe(false)
  })

  it('are compared by the likeliest tokens, whatever chance and penalties have written', async () => {
    const wild = (logits: Float32Array): number => {
      logits.fill(0)
      return 6
    }
    const { text, tokens } = await written(counting, { choose: wild, maxNewTokens: 4 })
    expect(tokens).toEqual([6, 6, 6, 6])
    expect(await compared(counting, text)).toEqual({ agreement: { agrees: true, largest: 0 }, runs: 4 })
  })

  it('are compared up to a length', async () => {
    const { text, tokens } = await written(counting, {}, 2)
    expect([tokens.length, text?.places.length, text?.whole]).toEqual([5, 2, false])
    expect((await compared(counting, text)).runs).toBe(2)
  })

  it('are left where other work comes', async () => {
    const { text } = await written(counting)
    expect(await compared(counting, text, () => true)).toEqual({ agreement: undefined, runs: 1 })
  })

  it('are nothing where nothing was written', () => {
    const options = { stopTokens: new Set<number>(), maxNewTokens: 1, choose: greedy, signal }
    expect(new TextRecorder([1], options, 1).written).toBeUndefined()
  })
})
