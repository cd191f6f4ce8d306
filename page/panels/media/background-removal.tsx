import { shownSize } from '../../media/picture-maps.ts'
import { Said } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { MadePicture } from './made-picture.tsx'
import { PictureInput } from './picture-input.tsx'
import { RunRow } from './run-row.tsx'
import { usePicture } from './use-picture.ts'
import './picture-maps.css'

const DONE = 'The background is removed.'
/** An answer has no more pixels than this; a larger picture is answered in another size. */
const OWN_SIZE_PIXELS = 4 * 1024 * 1024

/** A picture without its background, on a chequerboard. */
export function BackgroundRemovalPanel({ answer, busy, run }: PanelProps) {
  const state = usePicture()
  const { picture } = state
  const mine = picture !== undefined && answer?.request.input === picture.blob
  const made = mine && answer.output instanceof Blob ? answer.output : undefined
  const large = picture !== undefined && picture.width * picture.height > OWN_SIZE_PIXELS
  return (
    <div class="media-panel">
      <PictureInput state={state} />
      <RunRow
        busy={busy}
        missing={picture === undefined ? 'Choose a picture first.' : undefined}
        onRun={() =>
          void run({
            method: 'run',
            input: picture?.blob,
            ...(large && { parameters: shownSize(picture) }),
          })
        }
      />
      <Said>{made && DONE}</Said>
      {made !== undefined && (
        <MadePicture
          picture={made}
          said={DONE}
          alt="What remains without the background"
          file="cut-out.png"
          chequered
        />
      )}
    </div>
  )
}
