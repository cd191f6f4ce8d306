import { createClient, type VergeClient } from '../../src/client/index.ts'
import { systemClock, systemFetch, systemRandom } from '../../src/client/runtime.ts'
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
  const client: VergeClient = createClient({ url, key: known })
  const browser = new BrowserEngine(loadBrowser, { url, key: known })
  const transport = {
    base: url,
    key: known,
    fetch: systemFetch,
    timeoutMs: TIMEOUT_MS,
    retries: 2,
    clock: systemClock,
    random: systemRandom,
  }
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
