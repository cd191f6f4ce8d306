import type { ComponentChildren } from 'preact'

interface NoticeProps {
  readonly title?: string
  /** `bad`: something failed, and screen readers say so at once. */
  readonly kind?: 'plain' | 'bad'
  readonly children?: ComponentChildren
}

/** A message that stands apart from the text around it. */
export function Notice({ children, kind = 'plain', title }: NoticeProps) {
  return (
    <div class={kind === 'bad' ? 'notice notice-bad' : 'notice'} {...(kind === 'bad' && { role: 'alert' })}>
      {title !== undefined && <p class="notice-title">{title}</p>}
      {children}
    </div>
  )
}
