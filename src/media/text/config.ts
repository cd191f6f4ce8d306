import { ReplaceNormalizer } from '@huggingface/tokenizers'

/** A part of a `tokenizer.json`, whose fields are looked at one by one. */
export type TokenizerConfig = Readonly<Record<string, unknown>>

export function isConfig(value: unknown): value is TokenizerConfig {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function configsOf(value: unknown): TokenizerConfig[] {
  return Array.isArray(value) ? value.filter(isConfig) : []
}

/** A token's number, or a type's: what fits the tensors that they go into. */
export function isTokenId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0x7fff_ffff
}

/**
 * The regular expression of a `{Regex}` or `{String}` pattern. The library writes Oniguruma's syntax, which
 * tokenizers use, anew as JavaScript's.
 * @throws Error if there is no pattern
 */
export function patternOf(config: TokenizerConfig): RegExp {
  const { pattern } = new ReplaceNormalizer({ type: 'Replace', pattern: config.pattern as never, content: '' })
  if (pattern === null) throw new Error(`a ${String(config.type)} step has no pattern`)
  return pattern
}
