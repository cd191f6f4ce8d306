import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PlacementPreference } from '../../catalog/manifest.ts'
import { VergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { ChatTemplate } from '../../generate/chat.ts'
import { compiledTokenizer } from '../../media/text/tokenizer.ts'

/** A file that verge.json names. @throws manifest_invalid */
export async function readPackedModelFile(folder: string, file: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(join(folder, file)))
  } catch (error) {
    throw new VergeError('manifest_invalid', `${join(folder, file)}, which verge.json names, cannot be read.`, {
      cause: error,
    })
  }
}

export interface PackedTokenizer {
  readonly bytes: Uint8Array
  /** Its compiled form; undefined where only an origin can hold it. */
  readonly image: Uint8Array | undefined
}

/**
 * A tokenizer.json, and its compiled form.
 * @param given contents of files that are taken from here instead
 * @throws manifest_invalid
 */
export async function readTokenizer(
  folder: string,
  file: string,
  given: ReadonlyMap<string, Uint8Array>,
  placement: PlacementPreference = 'auto',
): Promise<PackedTokenizer> {
  const bytes = given.get(file) ?? (await readPackedModelFile(folder, file))
  if (bytes.length > LIMITS.originTokenizerBytes) {
    throw new VergeError(
      'manifest_invalid',
      `${file} is ${bytes.length} bytes; the limit for a tokenizer is ${LIMITS.originTokenizerBytes}.`,
    )
  }
  const image = compiled(file, bytes)
  if (image.length <= LIMITS.tokenizerImageBytes) return { bytes, image }
  if (placement === 'origin') return { bytes, image: undefined }
  throw new VergeError(
    'manifest_invalid',
    `${file} takes ${image.length} bytes when it is compiled; the limit is ${LIMITS.tokenizerImageBytes} at the edge, and none with "placement": "origin". Trim its vocabulary with --languages, --keep-corpus or --vocabulary, or set that placement.`,
  )
}

function compiled(file: string, bytes: Uint8Array): Uint8Array {
  try {
    return compiledTokenizer(bytes)
  } catch (error) {
    const { cause } = error as VergeError
    throw new VergeError(
      'manifest_invalid',
      `${file} is not a tokenizer that Verge can use: ${(cause as Error)?.message ?? cause}.`,
      { cause: error },
    )
  }
}

/** @param given contents of files that are taken from here instead. @throws manifest_invalid */
export async function readChatTemplate(
  folder: string,
  file: string,
  given: ReadonlyMap<string, Uint8Array>,
): Promise<Uint8Array> {
  const bytes = given.get(file) ?? (await readPackedModelFile(folder, file))
  if (bytes.length > LIMITS.chatTemplateBytes) {
    throw new VergeError(
      'manifest_invalid',
      `${file} is ${bytes.length} bytes; the limit for a chat template is ${LIMITS.chatTemplateBytes}.`,
    )
  }
  try {
    ChatTemplate.parse(bytes)
  } catch (error) {
    const { cause } = error as VergeError
    throw new VergeError('manifest_invalid', `${file} is not a chat template: ${(cause as Error)?.message ?? cause}.`, {
      cause: error,
    })
  }
  return bytes
}
