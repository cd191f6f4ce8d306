import { MODEL_NAME, VERSION_NAME } from '../../catalog/manifest.ts'
import { UsageError } from '../terminal/command-line.ts'
import { printable } from '../terminal/format.ts'

/** @throws UsageError if no model can be called that */
export function modelNamed(name: string): string {
  if (MODEL_NAME.test(name)) return name
  throw new UsageError(
    `"${printable(name)}" is not a model name. Use lower-case letters, digits, ".", "_" and "-", at most 64 characters.`,
  )
}

/** @throws UsageError if no version can be called that */
export function versionNamed(version: string): string {
  if (VERSION_NAME.test(version)) return version
  throw new UsageError(
    `"${printable(version)}" is not a version name. Use letters, digits, ".", "_" and "-", at most 32 characters.`,
  )
}
