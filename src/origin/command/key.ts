import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { LEAST_SECRET } from '../../access/signature.ts'
import { ROOT } from '../../cli/files/project.ts'
import { UsageError } from '../../cli/terminal/command-line.ts'

/** Ignored by git, like everything in `.verge`. */
const KEY_FILE = join(ROOT, '.verge/origin.key')

/**
 * The secret that a Worker and an origin on one machine share, made at first use: `npm start` and `npm run origin` find
 * the same one without being told. Only the user who made it may read the file.
 */
export async function localOriginKey(file = KEY_FILE): Promise<string> {
  const known = await readFile(file, 'utf8').catch(missing)
  if (known !== undefined) return checked(known.trim(), file)
  await mkdir(dirname(file), { recursive: true })
  const written = `${file}.${randomBytes(6).toString('hex')}`
  await writeFile(written, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
  try {
    // If two processes start together, only one creates the key: a link does not replace an existing file.
    await link(written, file).catch(exists)
  } finally {
    await rm(written, { force: true })
  }
  return checked((await readFile(file, 'utf8')).trim(), file)
}

function checked(secret: string, file: string): string {
  if (secret.length >= LEAST_SECRET) return secret
  throw new UsageError(
    `${file} has no key of at least ${LEAST_SECRET} characters. Delete the file to create a new key.`,
  )
}

function missing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

function exists(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
