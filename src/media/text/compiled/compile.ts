import { configsOf, isConfig, isTokenId, type TokenizerConfig } from '../config.ts'
import { frameOf } from '../frame.ts'
import { normalizerOf } from '../normalize.ts'
import { compileAdded } from './compile-added.ts'
import { compileModel } from './compile-model.ts'
import { compileStep } from './compile-step.ts'
import { SECTION, writeImage } from './format.ts'
import { writeProgram } from './program.ts'

/**
 * Compiles a `tokenizer.json`, the same bytes for the same file.
 * @throws Error if it is damaged, or of a kind that is not known
 */
export function compileTokenizer(file: unknown): Uint8Array<ArrayBuffer> {
  if (!isConfig(file)) throw new Error('tokenizer.json is not an object')
  const model = isConfig(file.model) ? file.model : {}
  const { pieces, program, sections } = compileModel(model)
  const charsmaps: Uint8Array[] = []
  const normalizer = compileStep(file.normalizer, charsmaps)
  const declared = configsOf(file.added_tokens)
  const added = compileAdded(declared, normalizerOf(normalizer, charsmaps))
  const addedIds = new Map(declared.map(({ content, id }) => [String(content), Number(id)]))
  const idOf = (token: string): number | undefined => addedIds.get(token) ?? pieces.idOf(token)
  const written = writeProgram({
    model: program,
    normalizer,
    preTokenizer: compileStep(file.pre_tokenizer, charsmaps),
    decoder: isConfig(file.decoder) ? compileStep(file.decoder, charsmaps) : undefined,
    frame: frameOf(file.post_processor, idOf),
    padId: padIdOf(file, idOf),
    unknownId: unknownIdOf(model, idOf),
    continuingPrefix: typeof model.continuing_subword_prefix === 'string' ? model.continuing_subword_prefix : '',
  })
  return writeImage([
    [SECTION.program, written],
    ...sections,
    ...charsmaps.map((map) => [SECTION.charsmap, map] as const),
    ...added,
  ])
}

function unknownIdOf({ unk_id: id, unk_token: token }: TokenizerConfig, idOf: (token: string) => number | undefined) {
  if (isTokenId(id)) return id
  return typeof token === 'string' ? idOf(token) : undefined
}

function padIdOf(file: TokenizerConfig, idOf: (token: string) => number | undefined): number {
  const declared = isConfig(file.padding) ? file.padding.pad_id : undefined
  if (isTokenId(declared)) return declared
  return idOf('[PAD]') ?? idOf('<pad>') ?? 0
}
