import { useEffect, useId, useMemo, useRef, useState } from 'preact/hooks'
import type { PanelRequest } from '../panels/request.ts'
import { CopyButton, Scroll } from '../ui/index.ts'
import { type CodeContext, fileName, type Snippet } from './request.ts'
import { snippets } from './snippets.ts'

export type Code = CodeContext

interface Props {
  readonly request: PanelRequest
  readonly code: Code
}

/** The code that sends the last request again, one tab for each way. */
export function CodeView({ code, request }: Props) {
  const id = useId()
  const [chosen, setChosen] = useState('curl')
  const list = useRef<HTMLDivElement>(null)
  const all = snippets(request, code)
  const index = Math.max(
    0,
    all.findIndex((snippet) => snippet.id === chosen),
  )
  const shown = all[index]
  if (shown === undefined) return null
  const onKeyDown = (event: KeyboardEvent): void => {
    const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: all.length - 1 }[event.key]
    const next = to === undefined ? undefined : all[(to + all.length) % all.length]
    if (next === undefined) return
    event.preventDefault()
    setChosen(next.id)
    list.current?.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus()
  }
  return (
    <div class="code">
      <h3 class="result-subtitle">The code for it</h3>
      <div class="code-tabs" role="tablist" aria-label="Ways to send the request" ref={list} onKeyDown={onKeyDown}>
        {all.map((snippet) => (
          <button
            key={snippet.id}
            type="button"
            role="tab"
            class="code-tab"
            id={`${id}-${snippet.id}`}
            data-tab={snippet.id}
            aria-selected={snippet === shown}
            aria-controls={`${id}-panel`}
            tabIndex={snippet === shown ? 0 : -1}
            onClick={() => setChosen(snippet.id)}
          >
            {snippet.label}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${shown.id}`}>
        <Scroll kind="code" label="Code">
          <pre>
            <code>{shown.code}</code>
          </pre>
        </Scroll>
      </div>
      <div class="code-actions">
        <CopyButton text={shown.code} what={`the code for ${shown.label}`} />
        {request.input instanceof Blob && <SaveFile blob={request.input} name={fileName(request.input)} />}
        {shown.body !== undefined && <SaveBody {...shown.body} />}
        {code.needsKey && <span>Put the operator’s key in place of the placeholder; never into a page.</span>}
      </div>
    </div>
  )
}

function SaveBody({ name, text }: NonNullable<Snippet['body']>) {
  const blob = useMemo(() => new Blob([text], { type: 'application/json' }), [text])
  return <SaveFile blob={blob} name={name} />
}

/** What was sent, under the name that the code has for it. */
function SaveFile({ blob, name }: { readonly blob: Blob; readonly name: string }) {
  const [url, setUrl] = useState<string>()
  useEffect(() => {
    const made = URL.createObjectURL(blob)
    setUrl(made)
    return () => URL.revokeObjectURL(made)
  }, [blob])
  return url === undefined ? null : (
    <a href={url} download={name}>
      Save {name}
    </a>
  )
}
