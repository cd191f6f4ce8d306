import { open, readFile, stat } from 'node:fs/promises'
import { decodeModel } from '../../onnx/codec.ts'
import { isOnnxError } from '../../onnx/errors.ts'
import { externalRefs } from '../../onnx/external.ts'
import { UsageError } from '../terminal/command-line.ts'
import { SOURCE_LIMITS } from './limits.ts'
import { otherFormatNamed, otherFormatOf } from './other-formats.ts'
import { piecesOf } from './pieces.ts'

/**
 * Checks that a file can be a model, and names the files of its external data, relative to its folder.
 * @param label for messages
 * @throws UsageError where it is missing, something else, or names files outside its folder
 */
export async function externalFiles(path: string, label: string): Promise<string[]> {
  const { size } = await checkedStat(path, label)
  if (size === 0) throw new UsageError(`${label} is empty. Download or export it again.`)
  if (size > SOURCE_LIMITS.modelBytes) {
    throw new UsageError(
      `${label} has ${size} bytes; the limit of an ONNX file is 2 GiB. Store the weights as external data.`,
    )
  }
  await checkBeginning(path, label)
  if (!(await mentionsLocation(path))) return []
  try {
    const refs = externalRefs(decodeModel(await readFile(path)))
    const locations = [...new Set(refs.map(({ location }) => location))].sort()
    if (locations.length > SOURCE_LIMITS.externalFiles) {
      throw new UsageError(
        `${label} stores its weights in ${locations.length} files; the limit is ${SOURCE_LIMITS.externalFiles}. Save it with one.`,
      )
    }
    return locations
  } catch (error) {
    if (!isOnnxError(error)) throw error
    throw new UsageError(`${label}: ${error.message}`, { cause: error })
  }
}

async function checkedStat(path: string, label: string): Promise<{ size: number }> {
  const found = await stat(path).catch((error: Error) => error)
  if (found instanceof Error)
    throw new UsageError(`${label} cannot be read (${(found as NodeJS.ErrnoException).code}).`)
  if (!found.isFile()) throw new UsageError(`${label} is not a file.`)
  return found
}

/** What people most often have in the place of a model. */
async function checkBeginning(path: string, label: string): Promise<void> {
  const file = await open(path)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(256), 0, 256, 0).finally(() => file.close())
  const text = buffer.toString('latin1', 0, bytesRead)
  if (text.startsWith('version https://git-lfs.github.com/spec/')) {
    throw new UsageError(`${label} is a pointer of Git LFS, not the model. Run "git lfs pull" in its repository.`)
  }
  if (/^\s*<(!doctype|html|\?xml)/i.test(text)) {
    throw new UsageError(`${label} is a web page, not a model. Give the address of the file itself.`)
  }
  const instead = otherFormatOf(buffer.subarray(0, bytesRead), path, label)
  if (instead !== undefined) throw new UsageError(instead)
  if (text.startsWith('PK\u0003\u0004')) {
    // PyTorch and Keras pack their files.
    const named = otherFormatNamed(path, label)
    if (named !== undefined) throw new UsageError(named)
    throw new UsageError(`${label} is a zip archive. Unpack it and give the .onnx file inside.`)
  }
}

/**
 * Whether the word that every reference to external data holds occurs in a file at all. Most models have none, and need
 * not be read into memory to find that out.
 */
async function mentionsLocation(path: string): Promise<boolean> {
  const word = Buffer.from('location')
  for await (const piece of piecesOf(path, word.length - 1)) if (piece.includes(word)) return true
  return false
}
