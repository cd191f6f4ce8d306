interface Bar {
  readonly label: string
  /** Length of the bar, from 0 to 1. */
  readonly share: number
  /** The value in words; default: the share in per cent. */
  readonly value?: string
}

/** Labels with bars and values, in the order given. The value is text, so the bar itself is only for the eye. */
export function Bars({ bars }: { readonly bars: readonly Bar[] }) {
  return (
    <ul class="bars">
      {bars.map(({ label, share, value }) => (
        <li key={label}>
          <span class="bars-label">{label}</span>
          <span class="bars-track" aria-hidden="true">
            <div class="bars-fill" style={{ width: `${Math.min(1, Math.max(0, share)) * 100}%` }} />
          </span>
          <span class="bars-value">{value ?? `${(share * 100).toFixed(1)} %`}</span>
        </li>
      ))}
    </ul>
  )
}
