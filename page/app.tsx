import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { Failure } from './shell/failure.tsx'
import { Guard } from './shell/guard.tsx'
import { Header } from './shell/header.tsx'
import { ModelList } from './shell/model-list.tsx'
import { ModelView } from './shell/model-view.tsx'
import { NoModels } from './shell/no-models.tsx'
import type { LoadBrowser } from './state/browser-engine.ts'
import { useRoute } from './state/route.ts'
import { createSession } from './state/session.ts'
import { useLoaded } from './state/use-loaded.ts'
import { useOnline } from './state/use-online.ts'
import { TextInput } from './ui/index.ts'

interface Props {
  /** Address of the Worker, without a slash at its end. */
  readonly url: string
  readonly loadBrowser: LoadBrowser
}

export function App({ loadBrowser, url }: Props) {
  const [key, setKey] = useState('')
  const session = useMemo(() => createSession(url, key, loadBrowser), [url, key, loadBrowser])
  useEffect(() => () => session.browser.dispose(), [session])
  const online = useOnline()
  const chosen = useRoute()
  const asked = useLoaded(
    async (signal) => ({ session, worker: await session.api.worker({ signal }) }),
    [session, online],
  )
  const worker = { ...asked, value: asked.value?.worker }
  // What the Worker said of another key says nothing of this one.
  const accepted = asked.value?.session === session ? (asked.value.worker.caller ?? false) : undefined
  const [prefix, setPrefix] = useState('')
  const listed = useLoaded(
    async (signal) => ({ session, ...(await session.api.models({ signal, prefix })) }),
    [session, online, prefix],
    // What another key shows is not shown without it.
    (last) => last.session === session,
  )
  const models = { ...listed, value: listed.value?.models }
  const operator = accepted === 'operator'
  useReturning(
    useCallback(() => {
      worker.reload()
      models.reload()
    }, [worker.reload, models.reload]),
  )
  const main = useRef<HTMLElement>(null)
  useOpened(chosen, main)
  return (
    <div class={chosen === undefined ? 'page page-list' : 'page page-model'}>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <Header worker={worker} online={online} apiKey={key} accepted={accepted} onKey={setKey} />
      <nav class="side" aria-label="Models">
        {chosen !== undefined && (
          <a class="side-back" href="#/">
            All models
          </a>
        )}
        {chosen !== undefined && models.value !== undefined && <ModelList models={models.value} chosen={chosen} />}
      </nav>
      <main class="main" id="main" tabIndex={-1} ref={main}>
        <Guard key={chosen ?? ''} title="This part of the page failed">
          {chosen === undefined ? (
            <Overview
              models={models}
              operator={operator}
              prefix={prefix}
              more={listed.value?.next !== undefined}
              onPrefix={setPrefix}
            />
          ) : (
            <ModelView name={chosen} session={session} operator={operator} onStale={models.reload} />
          )}
        </Guard>
      </main>
    </div>
  )
}

function Overview({
  models: { failure, loading, reload, value },
  more,
  onPrefix,
  operator,
  prefix,
}: {
  /** Whether there are more models than are shown. */
  readonly more: boolean
  readonly prefix: string
  readonly onPrefix: (prefix: string) => void
  readonly models: ReturnType<typeof useLoaded<Parameters<typeof ModelList>[0]['models']>>
  readonly operator: boolean
}) {
  return (
    <>
      <h1>Models</h1>
      <p class="lead">
        This is Verge, a Cloudflare Worker that runs its operator's own ONNX models, close to whoever asks. Choose one
        and give it something: the page shows the answer, where and how fast it was computed, and the code that asks the
        same from a page or a program of yours.
      </p>
      {failure !== undefined && <Failure title="The models cannot be listed" failure={failure} onRetry={reload} />}
      {value === undefined && loading && <p class="loading">Loading the models</p>}
      {(more || prefix !== '') && (
        <TextInput
          label="Models whose names begin with"
          value={prefix}
          onInput={(text) =>
            onPrefix(
              text
                .toLowerCase()
                .replace(/[^a-z0-9._-]/g, '')
                .replace(/^[._-]+/, '')
                .slice(0, 64),
            )
          }
          {...(more && { hint: `The first ${value?.length} are shown.` })}
        />
      )}
      {value?.length === 0 && prefix === '' && <NoModels operator={operator} />}
      {value?.length === 0 && prefix !== '' && <p>No model has such a name.</p>}
      {value !== undefined && value.length > 0 && <ModelList models={value} chosen={undefined} />}
    </>
  )
}

/** Calls back when the visitor returns to the tab: meanwhile models may have been pushed, released or removed. */
function useReturning(callback: () => void): void {
  useEffect(() => {
    const look = (): void => {
      if (document.visibilityState === 'visible') callback()
    }
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [callback])
}

/** The title follows the address, and the focus moves to what was opened, as it does on any other page. */
function useOpened(chosen: string | undefined, main: { readonly current: HTMLElement | null }): void {
  const first = useRef(true)
  useEffect(() => {
    document.title = chosen === undefined ? 'Verge' : `${chosen} · Verge`
    if (!first.current) {
      main.current?.focus({ preventScroll: true })
      scrollTo(0, 0)
    }
    first.current = false
  }, [chosen])
}
