/** The client for models in the visitor's own browser, as it is published. */
import { type BrowserClient, type BrowserClientOptions, browserClient } from './client.ts'
import { browserEnvironment } from './environment.ts'

export * from '../../client/page.ts'
export type { StoredModels } from '../messages.ts'
export type { BrowserClient, BrowserClientOptions, BrowserNotice, DownloadProgress } from './client.ts'
export { WORKER_SCRIPT } from './environment.ts'
export type { Placement } from './router.ts'

/** A client whose models run in this browser, or at the edge. @throws VergeError, TypeError if an option is not usable */
export function createBrowserClient(options: BrowserClientOptions): BrowserClient {
  return browserClient(options, browserEnvironment())
}
