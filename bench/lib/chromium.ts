import { execFile } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Whether there is a Chromium: its program, or why there is none. */
export type Chromium =
  | { readonly kind: 'found'; readonly program: string }
  /** Cannot be had on this machine: tests are skipped, and say so. */
  | { readonly kind: 'missing'; readonly reason: string }
  /** Ought to be there, so its absence fails tests. */
  | { readonly kind: 'broken'; readonly reason: string }

/** Debian's name first. `chromium-browser` comes last: on Ubuntu it only says that a snap is needed. */
const NAMES = ['chromium', 'google-chrome-stable', 'google-chrome', 'chrome', 'chromium-browser']

const ELSEWHERE = [
  '/usr/bin/chromium',
  '/usr/lib/chromium/chromium',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** A program that cannot tell its version by then does not run. */
const VERSION_MS = 60_000

/** Looks for a Chromium that runs: the one that `CHROMIUM` names, else the first by a usual name. */
export async function findChromium(env: NodeJS.ProcessEnv = process.env): Promise<Chromium> {
  const named = env.CHROMIUM
  if (named !== undefined && named !== '') {
    if (isProgram(named) && (await runs(named))) return { kind: 'found', program: named }
    return { kind: 'broken', reason: `the variable CHROMIUM names ${named}, which is not a Chromium that runs` }
  }
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const candidates = [...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))), ...ELSEWHERE]
  for (const program of new Set(candidates)) {
    if (isProgram(program) && (await runs(program))) return { kind: 'found', program }
  }
  return { kind: 'missing', reason: 'this machine has no Chromium' }
}

/** @throws Error if there is none */
export async function chromiumProgram(): Promise<string> {
  const found = await findChromium()
  if (found.kind === 'found') return found.program
  throw new Error(
    `There is no Chromium to measure in: ${found.reason}. Install one, or name it in the variable CHROMIUM.`,
  )
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function runs(program: string): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(program, ['--version'], { timeout: VERSION_MS }, (error, stdout) => {
      resolve(error === null && /chrom/i.test(stdout))
    })
  })
}
