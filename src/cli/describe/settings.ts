import { readFile, stat } from 'node:fs/promises'
import { UsageError } from '../terminal/command-line.ts'

/** Larger settings are not settings. A `config.json` with 20,000 labels takes under 2 MiB. */
const MOST_BYTES = 8 * 1024 * 1024

/** An object from a foreign JSON file: fields may be missing or have other types. */
export type Settings = Readonly<Record<string, unknown>>

/** Reads a JSON object from a file; undefined if the file does not exist. @throws UsageError that names the file */
export async function readSettings(
  files: ReadonlyMap<string, string>,
  name: string,
  mostBytes = MOST_BYTES,
): Promise<Settings | undefined> {
  const text = await readText(files, name, mostBytes)
  if (text === undefined) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new UsageError(`${name} beside the model is not JSON: ${(cause as Error).message}. Correct or remove it.`, {
      cause,
    })
  }
  const settings = objectOf(value)
  if (settings === undefined)
    throw new UsageError(`${name} beside the model is not a JSON object. Correct or remove it.`)
  return settings
}

/** Reads a text file; undefined if it does not exist. @throws UsageError if it is too long */
export async function readText(
  files: ReadonlyMap<string, string>,
  name: string,
  mostBytes = MOST_BYTES,
): Promise<string | undefined> {
  const path = files.get(name)
  if (path === undefined) return undefined
  if ((await stat(path)).size > mostBytes)
    throw new UsageError(`${name} beside the model is longer than ${mostBytes} bytes.`)
  // Editors on Windows put a byte order mark in front, which JSON does not know.
  return (await readFile(path, 'utf8')).replace(/^\ufeff/, '')
}

export function objectOf(value: unknown): Settings | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Settings) : undefined
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** A whole number from 1 up. */
export function sizeOf(value: unknown): number | undefined {
  const number = numberOf(value)
  return number !== undefined && Number.isSafeInteger(number) && number > 0 ? number : undefined
}

export function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

export function numbersOf(value: unknown): number[] | undefined {
  return Array.isArray(value) && value.length > 0 && value.every((item) => numberOf(item) !== undefined)
    ? (value as number[])
    : undefined
}
