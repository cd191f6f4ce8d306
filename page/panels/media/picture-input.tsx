import type { ComponentChildren } from 'preact'
import { Button, Notice } from '../../ui/index.ts'
import { FileButton } from './file-button.tsx'
import { useIncomingFiles, useObjectUrl } from './use-files.ts'
import type { PictureState } from './use-picture.ts'
import './media.css'

const PICTURES = 'image/png,image/jpeg,image/webp,image/*'

export interface PictureInputProps {
  readonly state: PictureState
  /** What is drawn over the picture. */
  readonly over?: ComponentChildren
}

/** A picture that can be chosen, dropped, pasted or taken, and what is said about it. */
export function PictureInput({ over, state }: PictureInputProps) {
  const { open, openExample, opening, picture, problem } = state
  const openFile = (file: File): void => open(file, file.name)
  const dragging = useIncomingFiles(openFile)
  const url = useObjectUrl(picture?.blob)
  return (
    <div class="media-input">
      <div class={dragging ? 'media-drop media-drop-ready' : 'media-drop'} aria-busy={opening}>
        {picture !== undefined && (
          <div class="media-picture">
            {url !== undefined && (
              <img src={url} width={picture.width} height={picture.height} alt={`To be sent: ${picture.name}`} />
            )}
            {over}
          </div>
        )}
        <p class="media-hint">{dragging ? 'Drop the picture to open it.' : 'Drop a picture here, or paste one.'}</p>
      </div>
      <div class="media-actions">
        <FileButton accept={PICTURES} onFile={openFile}>
          Choose a picture
        </FileButton>
        {matchMedia('(pointer: coarse)').matches && (
          <FileButton accept="image/*" camera onFile={openFile}>
            Take a photo
          </FileButton>
        )}
        <Button kind="quiet" onClick={openExample}>
          Use the example
        </Button>
      </div>
      <p class="media-facts" role="status">
        {opening && 'Opening the picture.'}
        {!opening && picture !== undefined && `${picture.name}, ${picture.width} × ${picture.height} pixels`}
      </p>
      {problem !== undefined && (
        <Notice kind="bad" title="The picture was not opened">
          <p>{problem}</p>
        </Notice>
      )}
      {problem === undefined && picture?.note !== undefined && (
        <Notice>
          <p>{picture.note}</p>
        </Notice>
      )}
    </div>
  )
}
