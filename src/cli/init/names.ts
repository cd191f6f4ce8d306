import { UsageError } from '../terminal/command-line.ts'

/**
 * Most characters of a name. Cloudflare takes 63 in the name of a bucket, and the longest that is made of it ends with
 * "-models-production".
 */
const MOST = 45

const NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/

/** npm installs no package into a project of the same name. */
const TAKEN = 'verge'

/** The name of a Worker, and of what belongs to it, that a folder's name suggests. @throws UsageError if there is none */
export function nameFrom(folder: string): string {
  const name = folder
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MOST)
    .replace(/^-+|-+$/g, '')
  if (name === '') {
    throw new UsageError(`The folder's name has no letters for the name of a Worker. Name it: --name my-app`)
  }
  return name === TAKEN ? `${TAKEN}-app` : name
}

/** @throws UsageError if a Worker, a bucket or a project of npm cannot be called that */
export function checkedName(name: string): string {
  if (name === TAKEN) throw new UsageError(`--name: the package itself is called "${TAKEN}". Choose another name.`)
  if (NAME.test(name) && name.length <= MOST) return name
  throw new UsageError(
    `--name: "${name}" cannot be the name of a Worker. Use lower-case letters, digits and "-", at most ${MOST} characters.`,
  )
}
