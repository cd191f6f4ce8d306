import { readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import * as z from 'zod'

/** As much as is needed of the list that npm keeps of what it has installed. */
const listSchema = z.object({ packages: z.record(z.string(), z.object({ resolved: z.string().optional() })) })

/** A tarball of a registry: the version says the same, and whichever registry somebody else uses has it. */
const OF_REGISTRY = /^https?:\/\/[^/]+\/.*\/-\/[^/]+\.tgz$/

/**
 * How a package.json in `folder` names the very package that runs: by its version, or by the tarball that it was installed
 * from.
 * @param installed the package's folder in a `node_modules`
 */
export async function specOf(installed: string, version: string, folder: string): Promise<string> {
  const modules = dirname(installed)
  const resolved = await resolvedBy(join(modules, '.package-lock.json'), relative(dirname(modules), installed))
  if (resolved === undefined || OF_REGISTRY.test(resolved)) return version
  if (!resolved.startsWith('file:')) return resolved
  const file = resolve(dirname(modules), decodeURI(resolved.slice('file:'.length)))
  return `file:${relative(folder, file).replaceAll('\\', '/')}`
}

async function resolvedBy(list: string, path: string): Promise<string | undefined> {
  try {
    const { packages } = listSchema.parse(JSON.parse(await readFile(list, 'utf8')))
    return packages[path.replaceAll('\\', '/')]?.resolved
  } catch {
    // Another program than npm has installed it.
    return undefined
  }
}
