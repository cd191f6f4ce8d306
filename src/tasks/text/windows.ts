import type { TextToken } from '../../media/text/tokenizer.ts'

/**
 * A long text's tokens in windows of at most `room`, each of which shares its first `overlap` tokens with the one before
 * it. There is always one, and the last ends with the text. They come one by one, so that whoever counts their tokens can
 * stop: with a great overlap they are many times the text.
 * @param overlap fewer than `room`
 */
export function* windowsOf(
  tokens: readonly TextToken[],
  room: number,
  overlap: number,
): Generator<readonly TextToken[], void> {
  for (let start = 0; ; start += Math.max(1, room - overlap)) {
    yield tokens.slice(start, start + room)
    if (start + room >= tokens.length) return
  }
}
