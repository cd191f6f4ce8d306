import { useEffect, useState } from 'preact/hooks'
import { useObjectUrl } from './use-files.ts'

interface MadePictureProps {
  readonly picture: Blob
  /** A sentence. The size of the picture is added to it, once it is known. */
  readonly said: string
  /** What is to be seen, for those who do not see it. */
  readonly alt: string
  /** The file's name for whoever saves it. */
  readonly file: string
  /** Shows where the picture lets its background through. */
  readonly chequered?: boolean
}

/** A picture that a model made, with its size and a way to save it. */
export function MadePicture({ alt, chequered = false, file, picture, said }: MadePictureProps) {
  const url = useObjectUrl(picture)
  const [size, setSize] = useState<string>()
  useEffect(() => setSize(undefined), [picture])
  return (
    <section class="media-answer" aria-label="Answer">
      <p class="media-best">{size === undefined ? said : `${said.slice(0, -1)}: ${size} pixels.`}</p>
      {url !== undefined && (
        <>
          <img
            class={chequered ? 'media-made map-chequered' : 'media-made'}
            src={url}
            alt={alt}
            onLoad={({ currentTarget }) => setSize(`${currentTarget.naturalWidth} × ${currentTarget.naturalHeight}`)}
          />
          <a class="media-download" href={url} download={file}>
            Save the picture
          </a>
        </>
      )}
    </section>
  )
}
