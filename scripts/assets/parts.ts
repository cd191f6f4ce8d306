import { join } from 'node:path'
import { BROWSER_PART } from '../browser/part.ts'
import { PAGE_PART } from '../page/part.ts'
import { type AssetsPart, buildPart } from './part.ts'

const ROOT = join(import.meta.dirname, '../..')

/** What Workers Assets serve, as wrangler.toml names it. */
export const ASSETS = join(ROOT, '.verge/assets')

const PARTS: readonly AssetsPart[] = [PAGE_PART, BROWSER_PART]

/**
 * Builds every part of which the sources have changed.
 * @param names of the parts; all if left out
 * @returns names of those that were built
 */
export async function buildAssets(names?: readonly string[]): Promise<string[]> {
  const built: string[] = []
  for (const part of PARTS) {
    if (names !== undefined && !names.includes(part.name)) continue
    if (await buildPart(part, ROOT, ASSETS)) built.push(part.name)
  }
  return built
}
