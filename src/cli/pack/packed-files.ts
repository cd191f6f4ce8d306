import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { VergeError } from '../../core/errors.ts'
import { LIMITS } from '../../core/limits.ts'
import { ChatTemplate } from '../../generate/chat.ts'

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

/**
 * @param given contents of files that are taken from here instead
 * @param most bytes that are read where the model runs
 * @throws manifest_invalid
 */
export async function readTokenizer(
  folder: string,
  file: string,
  given: ReadonlyMap<string, Uint8Array>,
  most: number = LIMITS.tokenizerBytes,
): Promise<Uint8Array> {
  const bytes = given.get(file) ?? (await readPackedModelFile(folder, file))
  if (bytes.length > most) {
    throw new VergeError(
      'manifest_invalid',
      `${file} is ${bytes.length} bytes; the limit for a tokenizer is ${most}${most < LIMITS.originTokenizerBytes ? ` at the edge, and ${LIMITS.originTokenizerBytes} with "placement": "origin"` : ''}.`,
    )
  }
  try {
    JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new VergeError('manifest_invalid', `${file} is not JSON.`, { cause: error })
  }
  return bytes
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
