import type { ComponentChildren } from 'preact'

/** A word or two about the thing beside it. */
export function Tag({ children }: { readonly children: ComponentChildren }) {
  return <span class="tag">{children}</span>
}
