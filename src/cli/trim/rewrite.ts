import { configsOf, isConfig, isTokenId, type TokenizerConfig } from '../../media/text/config.ts'
import type { Vocabulary } from './vocabulary.ts'

/**
 * A `tokenizer.json` with the kept tokens alone, numbered anew in the order of their old numbers. Merges stay whose parts
 * and whole are kept, in their order.
 * @param kept rising numbers, with every required one
 */
export function trimmedFile({ file, idOf, merges, model }: Vocabulary, kept: Int32Array): TokenizerConfig {
  const places = new Map(Array.from(kept, (id, place) => [id, place] as const))
  const placeOf = (id: unknown): unknown => (isTokenId(id) ? (places.get(id) ?? id) : id)
  const padding = isConfig(file.padding) ? { ...file.padding, pad_id: placeOf(file.padding.pad_id) } : file.padding
  return {
    ...file,
    ...('padding' in file && { padding }),
    ...('added_tokens' in file && {
      added_tokens: configsOf(file.added_tokens).map((token) => ({ ...token, id: placeOf(token.id) })),
    }),
    ...('post_processor' in file && { post_processor: renumbered(file.post_processor, placeOf) }),
    model: {
      ...model,
      vocab: trimmedVocab(model.vocab, kept, places, idOf),
      ...('unk_id' in model && { unk_id: placeOf(model.unk_id) }),
      ...(Array.isArray(model.merges) && {
        merges: model.merges.filter((_, rank) => {
          const { left = -1, right = -1, whole = -1 } = merges[rank] ?? {}
          return places.has(left) && places.has(right) && places.has(whole)
        }),
      }),
    },
  }
}

function trimmedVocab(
  vocab: unknown,
  kept: Int32Array,
  places: ReadonlyMap<number, number>,
  idOf: ReadonlyMap<string, number>,
): unknown {
  if (Array.isArray(vocab))
    return Array.from(kept, (id) => id).flatMap((id): unknown[] => (id < vocab.length ? [vocab[id]] : []))
  // Not by assignment: a piece may be "__proto__".
  return Object.fromEntries(
    [...idOf].flatMap(([text, id]) => {
      const place = places.get(id)
      return place === undefined ? [] : [[text, place] as const]
    }),
  )
}

/** A post-processor with the new numbers of its tokens. */
function renumbered(config: unknown, placeOf: (id: unknown) => unknown): unknown {
  if (!isConfig(config)) return config
  const pair = (value: unknown): unknown => {
    if (!Array.isArray(value)) return value
    const [text, id] = value as unknown[]
    return [text, placeOf(id)]
  }
  const { cls, processors, sep, special_tokens: tokens } = config
  return {
    ...config,
    ...(cls !== undefined && { cls: pair(cls) }),
    ...(sep !== undefined && { sep: pair(sep) }),
    ...(processors !== undefined && { processors: configsOf(processors).map((part) => renumbered(part, placeOf)) }),
    ...(isConfig(tokens) && {
      special_tokens: Object.fromEntries(
        Object.entries(tokens).map(([name, token]) => [
          name,
          isConfig(token) && Array.isArray(token.ids) ? { ...token, ids: token.ids.map(placeOf) } : token,
        ]),
      ),
    }),
  }
}
