import { useRef } from 'preact/hooks'
import { Button } from '../../ui/index.ts'

export interface FileButtonProps {
  readonly children: string
  /** As the attribute of the same name: types and endings. Any file if left out. */
  readonly accept?: string
  /** Telephones open the camera. */
  readonly camera?: boolean
  readonly disabled?: boolean
  readonly onFile: (file: File) => void
}

/** A button that opens the dialog of the system for a file. */
export function FileButton({ accept, camera = false, children, disabled = false, onFile }: FileButtonProps) {
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      <Button disabled={disabled} onClick={() => input.current?.click()}>
        {children}
      </Button>
      <input
        ref={input}
        type="file"
        hidden
        {...(accept !== undefined && { accept })}
        {...(camera && { capture: 'environment' as const })}
        onChange={({ currentTarget }) => {
          const file = currentTarget.files?.[0]
          // The same file may be chosen again after it was changed.
          currentTarget.value = ''
          if (file !== undefined) onFile(file)
        }}
      />
    </>
  )
}
