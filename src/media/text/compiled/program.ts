import { isConfig, isTokenId, type TokenizerConfig } from '../config.ts'
import type { FrameItem, TokenFrame } from '../frame.ts'

/** A model without its pieces, which lie in sections of their own. */
export type ModelProgram =
  | {
      readonly type: 'WordPiece'
      readonly mostCharacters: number
      /** What pieces inside of a word begin with. */
      readonly prefix: string
      readonly unknown: number | undefined
    }
  | {
      readonly type: 'BPE'
      readonly prefix: string
      readonly suffix: string
      readonly unknown: number | undefined
      /** Unknown characters side by side are one token. */
      readonly fusesUnknown: boolean
      /** What is unknown is written in bytes, where there are tokens for them. */
      readonly writesBytes: boolean
      /** A word that is a token is not made of merges. */
      readonly wholeWords: boolean
      /**
       * A mark that merges do not join with what stands before it, so that a text can be merged part by part; but for some
       * characters before it.
       */
      readonly mark: string | undefined
      readonly joinsMark: string
    }
  | {
      readonly type: 'Unigram'
      readonly unknown: number | undefined
      readonly unknownScore: number
      readonly writesBytes: boolean
    }
  | { readonly type: 'WordLevel'; readonly unknown: number | undefined }

/** What a compiled tokenizer says in JSON. A `Precompiled` normalizer has the number of its section in place of its map. */
export interface Program {
  readonly model: ModelProgram
  readonly normalizer: unknown
  readonly preTokenizer: unknown
  readonly decoder: TokenizerConfig | undefined
  readonly frame: TokenFrame
  readonly padId: number
  readonly unknownId: number | undefined
  readonly continuingPrefix: string
}

/** A program has about two kilobytes; one with thousands of patterns would be slow to read. */
const MOST_BYTES = 512 * 1024

export function writeProgram(program: Program): Uint8Array {
  const bytes = new TextEncoder().encode(JSON.stringify(program))
  if (bytes.length > MOST_BYTES) {
    throw new Error(`without its tokens it has ${bytes.length} bytes, and the limit is ${MOST_BYTES}`)
  }
  return bytes
}

/** @throws Error if it is damaged. Normalizers, pre-tokenizers and decoders are checked by those who make them */
export function readProgram(bytes: Uint8Array): Program {
  if (bytes.length > MOST_BYTES) throw new Error('the program of a tokenizer image is too long')
  const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  const { continuingPrefix, decoder, frame, model, normalizer, padId, preTokenizer, unknownId } = configIn(value)
  return {
    model: modelIn(configIn(model)),
    normalizer,
    preTokenizer,
    decoder: decoder === undefined ? undefined : configIn(decoder),
    frame: frameIn(configIn(frame)),
    padId: idIn(padId),
    unknownId: optionalId(unknownId),
    continuingPrefix: stringIn(continuingPrefix),
  }
}

function modelIn(model: TokenizerConfig): ModelProgram {
  const unknown = optionalId(model.unknown)
  switch (model.type) {
    case 'WordPiece':
      return {
        type: 'WordPiece',
        mostCharacters: numberIn(model.mostCharacters),
        prefix: stringIn(model.prefix),
        unknown,
      }
    case 'BPE':
      return {
        type: 'BPE',
        prefix: stringIn(model.prefix),
        suffix: stringIn(model.suffix),
        unknown,
        fusesUnknown: model.fusesUnknown === true,
        writesBytes: model.writesBytes === true,
        wholeWords: model.wholeWords === true,
        mark: model.mark === undefined ? undefined : stringIn(model.mark),
        joinsMark: stringIn(model.joinsMark),
      }
    case 'Unigram':
      return {
        type: 'Unigram',
        unknown,
        unknownScore: numberIn(model.unknownScore),
        writesBytes: model.writesBytes === true,
      }
    case 'WordLevel':
      return { type: 'WordLevel', unknown }
    default:
      throw new Error(`Unknown model type: ${String(model.type)}`)
  }
}

function frameIn({ keepsFirstSpace, pair, single, trimOffsets }: TokenizerConfig): TokenFrame {
  return {
    single: itemsIn(single),
    pair: pair === undefined ? undefined : itemsIn(pair),
    trimOffsets: trimOffsets === true,
    keepsFirstSpace: keepsFirstSpace === true,
  }
}

function itemsIn(value: unknown): FrameItem[] {
  if (!Array.isArray(value)) throw damaged()
  return value.map(configIn).map((item) => {
    const typeId = idIn(item.typeId)
    if (item.kind === 'text') return { kind: 'text', which: item.which === 1 ? 1 : 0, typeId }
    if (!Array.isArray(item.ids)) throw damaged()
    return { kind: 'special', ids: item.ids.map(idIn), typeId }
  })
}

function configIn(value: unknown): TokenizerConfig {
  if (!isConfig(value)) throw damaged()
  return value
}

function idIn(value: unknown): number {
  if (!isTokenId(value)) throw damaged()
  return value
}

function optionalId(value: unknown): number | undefined {
  return value === undefined ? undefined : idIn(value)
}

function numberIn(value: unknown): number {
  if (typeof value !== 'number') throw damaged()
  return value
}

function stringIn(value: unknown): string {
  if (typeof value !== 'string') throw damaged()
  return value
}

function damaged(): Error {
  return new Error('the program of a tokenizer image is damaged')
}
