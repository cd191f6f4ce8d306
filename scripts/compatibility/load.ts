import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as z from 'zod'
import { ROOT } from '../../src/cli/files/project.ts'
import type { CompatibilityRow, ModelsModule, RowsModule } from './row.ts'

const FOLDER = join(ROOT, 'test/compatibility')

/** All rows, subject by subject. */
export async function loadRows(): Promise<readonly CompatibilityRow[]> {
  const modules = await loadAll<RowsModule>('rows')
  return modules.flatMap(({ rows }) => rows)
}

/** What the commands of all rows need. */
export function loadModels(): Promise<readonly ModelsModule[]> {
  return loadAll<ModelsModule>('models')
}

async function loadAll<Module>(folder: string): Promise<Module[]> {
  const names = (await readdir(join(FOLDER, folder))).filter((name) => name.endsWith('.ts')).sort()
  const modules: Module[] = []
  for (const name of names) {
    modules.push((await import(/* @vite-ignore */ pathToFileURL(join(FOLDER, folder, name)).href)) as Module)
  }
  return modules
}

const lockSchema = z.object({ packages: z.record(z.string(), z.object({ version: z.string().optional() })) })

/** The version of each package that is installed at the top, by package-lock.json. */
export async function installedVersions(): Promise<ReadonlyMap<string, string>> {
  const { packages } = lockSchema.parse(JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')))
  const versions = new Map<string, string>()
  for (const [path, { version }] of Object.entries(packages)) {
    const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path)?.[1]
    if (name !== undefined && version !== undefined) versions.set(name, version)
  }
  return versions
}
