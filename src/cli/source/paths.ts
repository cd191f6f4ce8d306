import { safeName } from '../../onnx/errors.ts'
import { UsageError } from '../terminal/command-line.ts'

/**
 * Whether an untrusted path stays below its folder on every system: forward slashes, no part that is empty, `.` or
 * `..`, no drive, no control character.
 */
export function isInside(path: string): boolean {
  if (path.length === 0 || path.length > 512) return false
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0
    if (code < 0x20 || code === 0x7f || character === '\\' || character === ':') return false
  }
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
}

/** The folder of a path with forward slashes; empty at the top. */
export function folderOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
}

export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

export function joinedPath(folder: string, path: string): string {
  return folder === '' ? path : `${folder}/${path}`
}

/** A path of external data to write. @throws UsageError if it is unsafe on some system */
export function checkedData(location: string, label: string): string {
  if (isInside(location)) return location
  throw new UsageError(
    `${label} stores weights in "${safeName(location)}", which is not a file inside the model's folder. Save it with another name.`,
  )
}
