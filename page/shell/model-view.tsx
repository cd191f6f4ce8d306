import { useEffect, useMemo, useState } from 'preact/hooks'
import type { BrowserNotice } from '../../src/browser/client/index.ts'
import type { ModelInfo, Place } from '../models.ts'
import { panelOf } from '../panels/index.ts'
import type { Panel } from '../panels/panel.ts'
import type { Answer, PanelRequest } from '../panels/request.ts'
import type { Progress } from '../state/browser-engine.ts'
import { isVergeError } from '../state/failure-words.ts'
import type { PlaceChoice } from '../state/runner.ts'
import type { Session } from '../state/session.ts'
import { useLoaded } from '../state/use-loaded.ts'
import { useOnline } from '../state/use-online.ts'
import { useRun } from '../state/use-run.ts'
import { Notice } from '../ui/index.ts'
import { BrowserStorage } from './browser-storage.tsx'
import { Failure } from './failure.tsx'
import { Guard } from './guard.tsx'
import { LazyResult } from './lazy-result.tsx'
import { ModelHead } from './model-head.tsx'
import { noticeWords } from './notice-words.ts'
import { PlaceChooser } from './place-chooser.tsx'
import { RunState } from './run-state.tsx'

interface Props {
  readonly name: string
  readonly session: Session
  /** Whether the Worker knows the visitor as its operator. */
  readonly operator: boolean
  /** The list may be older than what an answer or a failure has just shown. */
  readonly onStale: () => void
}

/** A wrong key and a model that no visitor may see: the Worker does not tell which models there are. */
const GONE: ReadonlySet<string> = new Set(['model_not_found', 'unauthorized'])

/** One model: what it is, its panel, and what happened to the last request. */
export function ModelView({ name, onStale, operator, session }: Props) {
  const online = useOnline()
  const model = useLoaded(
    (signal) => session.api.model(name, { signal }),
    // What could not be loaded without a network is loaded with one.
    [name, session, online],
    (last) => last.name === name,
  )
  const gone = isVergeError(model.failure) && GONE.has(model.failure.code)
  useEffect(() => {
    if (gone) onStale()
  }, [gone])
  if (gone) {
    return (
      <>
        <h1 class="gone">There is no model "{name}" here</h1>
        <p class="lead">It was removed, or it is private: a key that may use the model shows it.</p>
        <p>
          <a href="#/">See all models</a>
        </p>
      </>
    )
  }
  if (model.value === undefined) {
    if (model.failure === undefined) return <p class="loading">Loading {name}</p>
    return <Failure title="The model cannot be shown" failure={model.failure} onRetry={model.reload} />
  }
  return (
    <Opened
      key={name}
      model={model.value}
      session={session}
      operator={operator}
      reload={model.reload}
      onStale={onStale}
    />
  )
}

interface OpenedProps {
  readonly model: ModelInfo
  readonly session: Session
  readonly operator: boolean
  readonly reload: () => void
  readonly onStale: () => void
}

function Opened({ model, onStale, operator, reload, session }: OpenedProps) {
  const [place, setPlace] = useState<PlaceChoice>('auto')
  const [progress, setProgress] = useState<Progress>()
  const [notice, setNotice] = useState<string>()
  // A place may be gone with the version that had it.
  const chosen = place === 'auto' || model.places.includes(place) ? place : 'auto'
  const { answer, busy, failure, run, stop, stopped } = useRun((request, signal, onPart) => {
    setProgress(undefined)
    setNotice(undefined)
    const listener = { onProgress: setProgress, onNotice: (told: BrowserNotice) => setNotice(noticeWords(told)) }
    return session.perform(request, model, { place: chosen, signal, onPart, listener })
  }, session)
  const answered = answer?.info.model
  const newer = answered !== undefined && answered !== `${model.name}@${model.version}` ? answered : undefined
  useEffect(() => {
    if (newer !== undefined || (isVergeError(failure) && failure.code === 'model_not_found')) {
      reload()
      onStale()
    }
  }, [newer, failure])
  const brokenOff = answer?.text !== undefined && answer.text.finishReason === undefined
  const ask = useMemo(
    () => (request: PanelRequest, at: Place, signal: AbortSignal) =>
      session.perform(request, model, { place: at, signal, fresh: true }),
    [session, model],
  )
  return (
    <article class="opened" aria-labelledby="model-name">
      <ModelHead model={model} />
      <PlaceChooser places={model.places} value={chosen} onChange={setPlace} />
      <Guard title="The panel of this model failed">
        <LazyPanel model={model} busy={busy} run={run} stop={stop} answer={answer} />
      </Guard>
      <RunState
        busy={busy}
        progress={progress}
        outcome={failure !== undefined ? 'failed' : stopped ? 'stopped' : 'answered'}
        answer={answer}
        onStop={stop}
      />
      {newer !== undefined && (
        <Notice title={`${newer} answered`}>
          <p>Several versions are live, or another one has been released since the page was opened.</p>
        </Notice>
      )}
      {notice !== undefined && (
        <Notice>
          <p>{notice}</p>
        </Notice>
      )}
      {failure !== undefined && (
        <Failure title={brokenOff ? 'The answer is not complete' : 'There is no answer'} failure={failure} />
      )}
      {answer !== undefined && !busy && (
        <Guard title="What happened cannot be shown">
          <LazyResult
            model={model}
            answer={answer}
            code={{
              url: session.url,
              model: model.name,
              place: chosen === 'auto' ? undefined : chosen,
              needsKey: model.visibility === 'private',
            }}
            ask={ask}
            explain={operator ? (request, signal) => session.api.explain(model.name, request, { signal }) : undefined}
          />
        </Guard>
      )}
      {model.places.includes('browser') && <BrowserStorage engine={session.browser} after={answer} />}
    </article>
  )
}

interface LazyPanelProps {
  readonly model: ModelInfo
  readonly busy: boolean
  readonly run: (request: PanelRequest) => Promise<void>
  readonly stop: () => void
  readonly answer: Answer | undefined
}

/** The panel of the model's task, downloaded when it is first needed. */
function LazyPanel(props: LazyPanelProps) {
  const { task } = props.model
  const panel = useLoaded<{ readonly task: string | undefined; readonly Panel: Panel }>(
    async () => ({ task, Panel: await panelOf(task)() }),
    [task],
    (last) => last.task === task,
  )
  if (panel.value === undefined) {
    if (panel.failure === undefined) return <p class="loading panel-loading">Loading the panel</p>
    return (
      <Notice kind="bad" title="The panel cannot be loaded">
        <p>The connection failed, or the page has been released again since you opened it. Reload the page.</p>
      </Notice>
    )
  }
  const { Panel } = panel.value
  return <Panel {...props} />
}
