import type { LocalClient } from './runner.ts'
import type { LoadBrowser } from './session.ts'

/** As much of `/browser.js` as the page uses. */
interface BrowserModule {
  createBrowserClient(options: {
    readonly url: string
    readonly key: string | undefined
    readonly placement: 'browser'
    readonly onProgress: (progress: { readonly loadedBytes: number; readonly totalBytes: number }) => void
  }): LocalClient
}

/** The engine for models in this browser, which the Worker serves apart from the page: only who uses it downloads it. */
export const loadBrowser: LoadBrowser = async ({ key, onProgress, url }) => {
  const address = `${url}/browser.js`
  const { createBrowserClient } = (await import(/* @vite-ignore */ address)) as BrowserModule
  return createBrowserClient({ url, key, placement: 'browser', onProgress })
}
