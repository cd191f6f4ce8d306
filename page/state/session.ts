import { clientOver, transportOf, type VergeClient } from '../../src/client/client.ts'
import type { ModelInfo } from '../models.ts'
import type { Answer, PanelRequest } from '../panels/request.ts'
import { type Api, createApi } from './api.ts'
import { BrowserEngine, type BrowserListener, type LoadBrowser } from './browser-engine.ts'
import { perform, type RunContext } from './runner.ts'

/** Everything that knows the Worker and the key. Another key makes another session. */
export interface Session {
  readonly url: string
  readonly api: Api
  readonly browser: BrowserEngine
  perform(request: PanelRequest, model: ModelInfo, options: PerformOptions): Promise<Answer>
}

type PerformOptions = Pick<RunContext, 'place' | 'signal' | 'fresh' | 'onPart'> & {
  readonly listener?: BrowserListener
}

const TIMEOUT_MS = 60_000

/** @param key empty: none */
export function createSession(url: string, key: string, loadBrowser: LoadBrowser): Session {
  const known = key === '' ? undefined : key
  const transport = transportOf({ url, key: known, timeoutMs: TIMEOUT_MS, retries: 2 })
  const client: VergeClient = clientOver(transport)
  const browser = new BrowserEngine(loadBrowser, { url, key: known })
  return {
    url,
    api: createApi(transport),
    browser,
    perform(request, { name, places }, { listener, ...options }) {
      return perform(request, {
        ...options,
        model: name,
        client,
        now: () => performance.now(),
        browser: places.includes('browser') ? () => browser.client(listener) : undefined,
      })
    },
  }
}
