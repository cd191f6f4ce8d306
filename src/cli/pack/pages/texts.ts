import { VergeError } from '../../../core/errors.ts'
import { decodeUtf8 } from '../../../core/json.ts'

/** More says nothing new about which tokens are frequent, and takes minutes to tokenize. */
const MOST_BYTES = 64 * 1024 * 1024

/**
 * Texts like those that a model will get: one a line, or `{"text": "..."}` or `{"inputs": "..."}` a line in a `.jsonl` file.
 * @param file its name, for messages
 * @throws manifest_invalid
 */
export function sampleTexts(file: string, bytes: Uint8Array): string[] {
  if (bytes.length > MOST_BYTES)
    throw invalid(file, `is ${bytes.length} bytes; the limit is ${MOST_BYTES}. Give a part of the texts`)
  const content = decodeUtf8(bytes)
  if (content === undefined) throw invalid(file, 'is not UTF-8. Save it as UTF-8')
  const lines = content.split('\n').filter((line) => line.trim() !== '')
  if (lines.length === 0) throw invalid(file, 'has no texts. Write one text a line')
  return file.endsWith('.jsonl') ? lines.map((line, index) => textIn(file, line, index)) : lines
}

function textIn(file: string, line: string, index: number): string {
  const value = parsed(line)
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>
  const text = fields.text ?? fields.inputs
  if (typeof text === 'string') return text
  throw invalid(file, `has no "text" in line ${index + 1}. Write an object with a "text" a line`)
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function invalid(file: string, what: string): VergeError {
  return new VergeError('manifest_invalid', `${file}, which names frequent texts, ${what}.`)
}
