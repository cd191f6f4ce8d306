import { createClient, type VergeClient } from '../../src/client/index.ts'
import { systemClock, systemFetch, systemRandom } from '../../src/client/runtime.ts'
import type { Answer, PanelRequest } from '../panels/request.ts'
import type { Progress } from '../shell/run-state.tsx'
import { type Api, createApi } from './api.ts'
import { type LocalClient, perform, type RunContext } from './runner.ts'

/** Everything that knows the Worker and the key. Another key makes another session. */
export interface Session {
  readonly url: string
  readonly api: Api
  readonly isOperator: boolean
  perform(request: PanelRequest, options: PerformOptions): Promise<Answer>
}

type PerformOptions = Pick<RunContext, 'model' | 'place' | 'signal' | 'fresh' | 'onPart'> & {
  /** Called while weights arrive in this browser. */
  readonly onProgress?: (progress: Progress) => void
}

/** The engine in the browser, as far as the page uses it. */
export type LoadBrowser = (options: {
  readonly url: string
  readonly key: string | undefined
  readonly onProgress: (progress: Progress) => void
}) => Promise<LocalClient>

const TIMEOUT_MS = 60_000

/** @param key empty: none */
export function createSession(url: string, key: string, loadBrowser: LoadBrowser): Session {
  const known = key === '' ? undefined : key
  const client: VergeClient = createClient({ url, key: known })
  const transport = {
    base: url,
    key: known,
    fetch: systemFetch,
    timeoutMs: TIMEOUT_MS,
    retries: 2,
    clock: systemClock,
    random: systemRandom,
  }
  let onProgress: (progress: Progress) => void = () => {}
  let browser: Promise<LocalClient> | undefined
  return {
    url,
    api: createApi(transport),
    isOperator: known !== undefined,
    perform(request, { onProgress: listener = () => {}, ...options }) {
      return perform(request, {
        ...options,
        client,
        now: () => performance.now(),
        browser() {
          onProgress = listener
          browser ??= loadBrowser({ url, key: known, onProgress: (progress) => onProgress(progress) }).catch(
            (error: unknown) => {
              browser = undefined
              throw error
            },
          )
          return browser
        },
      })
    },
  }
}
