import { useEffect, useState } from 'preact/hooks'
import { Button } from './button.tsx'

const SAID_MS = 2000

/** Copies a text. @param props.what for screen readers: "Copy" alone does not say what is copied */
export function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const [state, setState] = useState<'ready' | 'copied' | 'failed'>('ready')
  useEffect(() => {
    if (state === 'ready') return
    const timer = setTimeout(() => setState('ready'), SAID_MS)
    return () => clearTimeout(timer)
  }, [state])
  const copy = (): void => {
    // Absent outside of secure contexts, such as an address in a local network.
    const written = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error('no clipboard'))
    written.then(
      () => setState('copied'),
      () => setState('failed'),
    )
  }
  return (
    <>
      <Button kind="quiet" onClick={copy}>
        {state === 'copied' ? 'Copied' : state === 'failed' ? 'Select and copy by hand' : 'Copy'}
        <span class="only-read-aloud"> {what}</span>
      </Button>
      <span class="only-read-aloud" role="status">
        {state === 'copied' ? `Copied ${what}.` : ''}
      </span>
    </>
  )
}
