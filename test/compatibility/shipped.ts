import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '../../src/cli/files/project.ts'
import type { CompatibilityModel } from './row.ts'

/** A model of the folder `models`. */
export function shipped(name: string): () => Promise<CompatibilityModel> {
  const folder = `models/${name}`
  return async () => ({
    settings: JSON.parse(await readFile(join(ROOT, folder, 'verge.json'), 'utf8')) as Record<string, unknown>,
    files: folder,
  })
}
