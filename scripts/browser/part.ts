import type { AssetsPart } from '../assets/part.ts'

/** What runs in a visitor's browser, for Workers Assets. */
export const BROWSER_PART: AssetsPart = {
  name: 'browser',
  sources: ['src', 'scripts/browser', 'package-lock.json'],
  atRoot: ['browser.js'],
  build: async (folder) => {
    const [{ bundleBrowser }, { bundlePageClient }] = await Promise.all([
      import('./bundle.ts'),
      import('./page-client.ts'),
    ])
    const { scripts } = await bundleBrowser(folder)
    await bundlePageClient(folder, scripts.worker ?? '')
  },
}
