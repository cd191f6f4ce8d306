import type {
  BrowserClient,
  BrowserClientOptions,
  BrowserNotice,
  StoredModels,
} from '../../src/browser/client/index.ts'
import { VergeError } from '../../src/client/page.ts'

/** Weights on their way into this browser. */
export interface Progress {
  readonly loadedBytes: number
  readonly totalBytes: number
}

/** Who asked last is told how the download is, and what the engine has to say. */
export interface BrowserListener {
  readonly onProgress: (progress: Progress) => void
  readonly onNotice: (notice: BrowserNotice) => void
}

export type LoadBrowser = (options: BrowserClientOptions) => Promise<BrowserClient>

let attempts = 0

/** `/browser.js` of the Worker. Only who uses the browser's engine downloads it. @throws VergeError */
export const loadBrowser: LoadBrowser = async (options) => {
  // Computed, so that the page is bundled without it. Browsers remember a module that failed by its whole address.
  const address = new URL(attempts === 0 ? '/browser.js' : `/browser.js#${attempts}`, options.url).href
  try {
    const module = (await import(/* @vite-ignore */ address)) as {
      readonly createBrowserClient: (options: BrowserClientOptions) => BrowserClient
    }
    return module.createBrowserClient(options)
  } catch (cause) {
    attempts++
    const message =
      'The engine for this browser could not be loaded. Check the connection and try again, or choose another place.'
    throw new VergeError('unexpected_answer', message, { cause })
  }
}

/** The engine in this browser, loaded when it is first asked for. */
export class BrowserEngine {
  readonly #load: () => Promise<BrowserClient>
  #client: Promise<BrowserClient> | undefined
  #listener: BrowserListener | undefined

  constructor(load: LoadBrowser, options: Pick<BrowserClientOptions, 'url' | 'key'>) {
    this.#load = () =>
      load({
        ...options,
        placement: 'auto',
        onProgress: (progress) => this.#listener?.onProgress(progress),
        onNotice: (notice) => this.#listener?.onNotice(notice),
      })
  }

  client(listener?: BrowserListener): Promise<BrowserClient> {
    this.#listener = listener
    this.#client ??= this.#load().catch((error: unknown) => {
      // The next request tries again.
      this.#client = undefined
      throw error
    })
    return this.#client
  }

  /** What this browser keeps; undefined as long as its engine has not been used. */
  async stored(): Promise<StoredModels | undefined> {
    return (await this.#client)?.storage()
  }

  /** Removes what this browser keeps. */
  async clear(): Promise<void> {
    await (await this.#client)?.clear()
  }

  dispose(): void {
    this.#client?.then((client) => client.dispose()).catch(() => {})
    this.#client = undefined
  }
}
