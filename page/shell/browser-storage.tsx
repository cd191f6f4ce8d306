import { useState } from 'preact/hooks'
import { sizeInWords } from '../media/size-words.ts'
import type { BrowserEngine } from '../state/browser-engine.ts'
import { useLoaded } from '../state/use-loaded.ts'
import { Button } from '../ui/index.ts'

interface Props {
  readonly engine: BrowserEngine
  /** What is kept may be different after each answer. */
  readonly after: unknown
}

/** What this browser keeps of weights, and the way to be rid of it. Nothing as long as it keeps nothing. */
export function BrowserStorage({ after, engine }: Props) {
  const [cleared, setCleared] = useState(0)
  const stored = useLoaded(() => engine.stored(), [engine, after, cleared])
  const { kind, models, quotaBytes, usedBytes } = stored.value ?? { models: [], usedBytes: 0, quotaBytes: 0 }
  if (usedBytes === 0) return null
  const names = models.map(({ model, version }) => `${model}@${version}`).join(', ')
  return (
    <div class="stored">
      <p>
        {kind === 'memory' ? 'This tab holds' : 'This browser keeps'} {sizeInWords(usedBytes)} of weights, of{' '}
        {sizeInWords(quotaBytes)} at most: {names}
      </p>
      <Button
        kind="quiet"
        onClick={() => {
          void engine.clear().finally(() => setCleared(cleared + 1))
        }}
      >
        Remove them
      </Button>
    </div>
  )
}
