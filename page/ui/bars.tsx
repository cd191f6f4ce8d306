import { useState } from 'preact/hooks'
import { percentage } from '../media/percentage.ts'
import { Button } from './button.tsx'

interface Bar {
  readonly label: string
  /** Length of the bar, from 0 to 1. */
  readonly share: number
  /** The value in words; default: the share in per cent. */
  readonly value?: string
}

/** Bars that are shown until somebody asks for all: a model may have thousands of labels. */
const FEW = 20

/** Labels with bars and values, in the order given. The value is text, so the bar itself is only for the eye. */
export function Bars({ bars }: { readonly bars: readonly Bar[] }) {
  const [all, setAll] = useState(false)
  const shown = all ? bars : bars.slice(0, FEW)
  return (
    <>
      <ul class="bars">
        {shown.map(({ label, share, value }, i) => (
          // Labels may be equal.
          <li key={`${i} ${label}`}>
            <span class="bars-label">{label}</span>
            <span class="bars-track" aria-hidden="true">
              <div class="bars-fill" style={{ width: `${Math.min(1, Math.max(0, share)) * 100}%` }} />
            </span>
            <span class="bars-value">{value ?? percentage(share)}</span>
          </li>
        ))}
      </ul>
      {bars.length > FEW && (
        <div>
          <Button onClick={() => setAll(!all)}>
            {all ? `Show the first ${FEW}` : `Show all ${bars.length.toLocaleString('en')}`}
          </Button>
        </div>
      )}
    </>
  )
}
