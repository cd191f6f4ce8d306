import { MODEL_NAME, VERSION_NAME } from '../../catalog/manifest.ts'
import { UsageError } from '../terminal/command-line.ts'
import { printable } from '../terminal/format.ts'

/** @throws UsageError if no model can be called that */
export function modelNamed(name: string): string {
  if (MODEL_NAME.test(name)) return name
  throw new UsageError(
    `"${printable(name)}" cannot be the name of a model: lower-case letters, digits, ".", "_" and "-", at most 64, are.`,
  )
}

/** @throws UsageError if no version can be called that */
export function versionNamed(version: string): string {
  if (VERSION_NAME.test(version)) return version
  throw new UsageError(
    `"${printable(version)}" cannot be the name of a version: letters, digits, ".", "_" and "-", at most 32, are.`,
  )
}
