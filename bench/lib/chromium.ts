import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const NAMES = ['chromium', 'google-chrome-stable', 'google-chrome', 'chrome']

/** The program that CHROMIUM names, or the first by a usual name. @throws Error if there is none */
export function chromiumProgram(): string {
  const named = process.env.CHROMIUM
  if (named !== undefined && named !== '') return named
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const found = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path))
  if (found === undefined)
    throw new Error('There is no Chromium here. Install one, or name it in the variable CHROMIUM.')
  return found
}
