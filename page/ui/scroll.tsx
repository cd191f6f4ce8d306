import type { ComponentChildren, Ref } from 'preact'

interface Props {
  /** What it holds, for screen readers. */
  readonly label: string
  /** `code`: set apart, and no higher than a part of the window. */
  readonly kind?: 'plain' | 'code'
  readonly children: ComponentChildren
  readonly innerRef?: Ref<HTMLElement>
}

/** What may be larger than its place on the page. The keyboard reaches it, so that it can be scrolled without a mouse. */
export function Scroll({ children, innerRef, kind = 'plain', label }: Props) {
  return (
    <section
      class={kind === 'code' ? 'scroll scroll-code' : 'scroll'}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls what has the focus
      tabIndex={0}
      {...(innerRef !== undefined && { ref: innerRef })}
    >
      {children}
    </section>
  )
}
