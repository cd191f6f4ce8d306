import type { ComponentChildren } from 'preact'

interface ButtonProps {
  readonly children: ComponentChildren
  /** `primary`: the one action of a panel. */
  readonly kind?: 'primary' | 'plain' | 'quiet'
  /** Default: `button`. */
  readonly type?: 'button' | 'submit'
  readonly disabled?: boolean
  readonly onClick?: () => void
}

export function Button({ children, disabled = false, kind = 'plain', onClick, type = 'button' }: ButtonProps) {
  const look = kind === 'plain' ? 'button' : `button button-${kind}`
  return (
    <button type={type} class={look} disabled={disabled} {...(onClick && { onClick })}>
      {children}
    </button>
  )
}
