import { clockTime } from '../../media/timeline.ts'
import { Button, Notice } from '../../ui/index.ts'
import { FileButton } from './file-button.tsx'
import { useIncomingFiles } from './use-files.ts'
import type { SoundState } from './use-sound.ts'
import './media.css'
import './sound.css'

const SOUNDS = 'audio/*,.wav,.mp3,.ogg,.oga,.opus,.m4a,.flac,.webm'

/** A sound that can be recorded, chosen or dropped, and what is said about it. The timeline below it plays it. */
export function SoundInput({ state }: { readonly state: SoundState }) {
  const { open, openExample, opening, problem, record, recording, sound, stop } = state
  const openFile = (file: File): void => open(file, file.name)
  const dragging = useIncomingFiles(openFile)
  return (
    <div class={dragging ? 'media-input media-drop media-drop-ready' : 'media-input media-drop'} aria-busy={opening}>
      <div class="media-actions">
        {recording === undefined ? (
          <Button onClick={record}>Record</Button>
        ) : (
          <Button kind="primary" onClick={stop}>
            Stop
          </Button>
        )}
        <FileButton accept={SOUNDS} disabled={recording !== undefined} onFile={openFile}>
          Choose a sound
        </FileButton>
        <Button kind="quiet" disabled={recording !== undefined} onClick={openExample}>
          Use the example
        </Button>
      </div>
      {recording !== undefined && (
        <p class="sound-recording">
          <span class="sound-said">
            <span class="sound-light" aria-hidden="true" />
            <span role="status">Recording. Press Stop when you are done.</span>
          </span>
          <span class="sound-seconds">{clockTime(recording.seconds)}</span>
          <span class="sound-level" aria-hidden="true">
            <span style={{ width: `${100 * recording.level}%` }} />
          </span>
        </p>
      )}
      <p class="media-facts" role="status">
        {opening && 'Opening the sound.'}
        {!opening && sound !== undefined && `${sound.name}, ${clockTime(sound.seconds)}`}
      </p>
      <p class="media-hint">{dragging ? 'Drop the sound to open it.' : 'You can drop a sound file here, too.'}</p>
      {problem !== undefined && (
        <Notice kind="bad" title="There is no new sound">
          <p>{problem}</p>
        </Notice>
      )}
      {problem === undefined && sound?.note !== undefined && (
        <Notice>
          <p>{sound.note}</p>
        </Notice>
      )}
    </div>
  )
}
