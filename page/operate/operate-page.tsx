import { useRef, useState } from 'preact/hooks'
import type { OperationsBody } from '../../src/protocols/verge/operations.ts'
import { Failure } from '../shell/failure.tsx'
import { Guard } from '../shell/guard.tsx'
import { useOnline } from '../state/use-online.ts'
import { Button, Notice } from '../ui/index.ts'
import { Callers } from './callers.tsx'
import { Changes } from './changes.tsx'
import { Health } from './health.tsx'
import { KeyForm } from './key-form.tsx'
import { Models } from './models.tsx'
import { Origins } from './origins.tsx'
import { isOld } from './refresh.ts'
import { Traffic } from './traffic.tsx'
import { type Operations, useOperations } from './use-operations.ts'
import { span } from './words.ts'

/**
 * What `GET /v1/operations` tells of all isolates: health, traffic, models, cost, origins and changes. The key stays in the
 * memory of the tab, as in the playground.
 */
export function OperatePage({ url }: { readonly url: string }) {
  const [key, setKey] = useState('')
  const operations = useOperations(url, key)
  const main = useRef<HTMLElement>(null)
  const { body, failure, loading, refresh, refused } = operations
  const asked = key === '' || refused
  return (
    <div class="page operate">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <header class="header">
        <div class="header-inner">
          <a class="header-name" href="/">
            Verge
          </a>
          <p class="status">{body === undefined ? 'Operations' : `Version ${body.version}`}</p>
          <nav class="header-links" aria-label="Pages">
            <a href="/">Playground</a>
            {!asked && (
              <Button kind="quiet" onClick={() => setKey('')}>
                Forget key
              </Button>
            )}
          </nav>
        </div>
      </header>
      <main class="main" id="main" tabIndex={-1} ref={main}>
        <h1>Operations</h1>
        {asked ? (
          <KeyForm refused={refused && key !== '' ? failure : undefined} onKey={setKey} />
        ) : (
          <>
            {body === undefined && failure !== undefined && (
              <Failure title="The figures cannot be read" failure={failure} onRetry={refresh} />
            )}
            {body === undefined && loading && <p class="loading">Reading the figures</p>}
            {body !== undefined && (
              <>
                <Freshness operations={operations} />
                <Guard title="This part of the page failed">
                  <Parts body={body} />
                </Guard>
              </>
            )}
          </>
        )}
      </main>
    </div>
  )
}

/** How old the figures are, and why there are no newer ones. */
function Freshness({ operations: { ageMs, failure, loading, refresh } }: { readonly operations: Operations }) {
  const online = useOnline()
  const old = isOld(ageMs)
  return (
    <>
      <div class="operate-fresh">
        <p>{ageMs < 10_000 ? 'Updated just now' : `Updated ${span(ageMs)} ago`}</p>
        <Button kind="quiet" disabled={loading} onClick={refresh}>
          {loading ? 'Updating' : 'Update now'}
        </Button>
      </div>
      {failure !== undefined && (
        <Failure
          title={`The last update failed. The figures below are ${span(ageMs)} old`}
          failure={failure}
          onRetry={refresh}
        />
      )}
      {failure === undefined && old && (
        <Notice title={`The figures below are ${span(ageMs)} old`}>
          <p>{online ? 'An update is on its way.' : 'This device is offline.'}</p>
        </Notice>
      )}
    </>
  )
}

function Parts({ body }: { readonly body: OperationsBody }) {
  return (
    <>
      <Health body={body} />
      <Traffic body={body} />
      <Models body={body} />
      <Callers body={body} />
      <Origins origins={body.origins} now={body.at} />
      <Changes changes={body.changes} now={body.at} />
    </>
  )
}
