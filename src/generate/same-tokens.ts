import type { Manifest } from '../catalog/manifest.ts'
import { TOKENIZER_IMAGE } from '../media/text/compiled/format.ts'
import { TOKENIZER_FILE } from '../media/text/model-tokenizer.ts'

type Files = Pick<Manifest, 'files'>

/** Whether the tokens of two versions mean the same, as far as their files tell: the same tokenizer as written, or as compiled. */
export function hasSameTokens(one: Files, other: Files): boolean {
  return [TOKENIZER_FILE, TOKENIZER_IMAGE].some((name) => {
    const [left, right] = [one.files?.[name]?.sha256, other.files?.[name]?.sha256]
    return left !== undefined && left === right
  })
}
