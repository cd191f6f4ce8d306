import type { ComponentChildren } from 'preact'
import { useId } from 'preact/hooks'

interface Props {
  readonly title: string
  /** Beside the title. */
  readonly note?: string | undefined
  readonly children: ComponentChildren
}

/** A part of the page with a heading that names it, for screen readers too. */
export function Section({ children, note, title }: Props) {
  const id = useId()
  return (
    <section class="operate-section" aria-labelledby={id}>
      <div class="operate-heading">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <p>{note}</p>}
      </div>
      {children}
    </section>
  )
}

/** In place of figures whose source could not be read. The health above says why. */
export function Unread({ what }: { readonly what: string }) {
  return <p class="operate-unread">{what} could not be read.</p>
}

/** In place of what is for the operator alone, or could not be read. */
export function Unshown({ what }: { readonly what: string }) {
  return <p class="operate-unread">{what} could not be read. Only the operator's key shows it.</p>
}
