import { ReplaceNormalizer } from '@huggingface/tokenizers'
import { bytesFromBase64 } from '../../base64.ts'
import { configsOf, isConfig, type TokenizerConfig } from '../config.ts'

/** Where a `Sequence` has its parts: a normalizer, a pre-tokenizer, a decoder. */
const PARTS = ['normalizers', 'pretokenizers', 'decoders']

/**
 * A normalizer, pre-tokenizer or decoder as it is run: its regular expressions in JavaScript's syntax, and the number of a
 * section in place of a precompiled map.
 * @param charsmaps gets the maps
 * @throws Error if there is no pattern, or no map
 */
export function compileStep<T>(config: T, charsmaps: Uint8Array[]): T | TokenizerConfig {
  if (!isConfig(config)) return config
  switch (config.type) {
    case 'Sequence': {
      const own = PARTS.filter((name) => config[name] !== undefined)
      const parts = own.map((name) => [name, configsOf(config[name]).map((part) => compileStep(part, charsmaps))])
      return { ...config, ...Object.fromEntries(parts) }
    }
    case 'Replace':
    case 'Split':
      return { ...config, pattern: translated(config) }
    case 'Precompiled': {
      if (typeof config.precompiled_charsmap !== 'string') return { type: config.type }
      const bytes = bytesFromBase64(config.precompiled_charsmap)
      if (bytes === undefined) throw new Error('precompiled_charsmap is not base64')
      return { type: config.type, charsmap: charsmaps.push(bytes) - 1 }
    }
    default:
      return config
  }
}

/** A `{Regex}` or `{String}` pattern. The library writes Oniguruma's syntax, which tokenizers use, anew as JavaScript's. */
function translated(config: TokenizerConfig): { readonly source: string; readonly flags: string } {
  const { pattern } = new ReplaceNormalizer({ type: 'Replace', pattern: config.pattern as never, content: '' })
  if (pattern === null) throw new Error(`a ${String(config.type)} step has no pattern`)
  return { source: pattern.source, flags: pattern.flags }
}
