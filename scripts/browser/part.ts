import type { AssetsPart } from '../assets/part.ts'

/** What runs in a visitor's browser, for Workers Assets. */
export const BROWSER_PART: AssetsPart = {
  name: 'browser',
  sources: ['src', 'scripts/browser', 'package-lock.json'],
  atRoot: [],
  build: async (folder) => {
    const { bundleBrowser } = await import('./bundle.ts')
    await bundleBrowser(folder)
  },
}
