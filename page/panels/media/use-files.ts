import { useEffect, useRef, useState } from 'preact/hooks'

/**
 * Files that are dropped anywhere on the page or pasted, as long as the calling part is there. A file that misses the part
 * would otherwise be opened by the browser in place of the page.
 * @returns whether files are being dragged over the page
 */
export function useIncomingFiles(onFile: (file: File) => void): boolean {
  const [dragging, setDragging] = useState(false)
  const receive = useRef(onFile)
  receive.current = onFile
  useEffect(() => {
    const over = (event: DragEvent): void => {
      if (!hasFiles(event.dataTransfer)) return
      event.preventDefault()
      setDragging(true)
    }
    const leave = (event: DragEvent): void => {
      // Nothing is entered by leaving the window.
      if (event.relatedTarget === null) setDragging(false)
    }
    const drop = (event: DragEvent): void => {
      setDragging(false)
      if (!hasFiles(event.dataTransfer)) return
      event.preventDefault()
      const file = event.dataTransfer?.files[0]
      if (file !== undefined) receive.current(file)
    }
    const paste = (event: ClipboardEvent): void => {
      const file = event.clipboardData?.files[0]
      if (file === undefined) return
      event.preventDefault()
      receive.current(file)
    }
    document.addEventListener('dragover', over)
    document.addEventListener('dragleave', leave)
    document.addEventListener('drop', drop)
    document.addEventListener('paste', paste)
    return () => {
      document.removeEventListener('dragover', over)
      document.removeEventListener('dragleave', leave)
      document.removeEventListener('drop', drop)
      document.removeEventListener('paste', paste)
    }
  }, [])
  return dragging
}

/** An address for what a Blob holds, as long as the calling part shows it. */
export function useObjectUrl(blob: Blob | undefined): string | undefined {
  const [shown, setShown] = useState<{ readonly blob: Blob; readonly url: string }>()
  useEffect(() => {
    if (blob === undefined) return undefined
    const url = URL.createObjectURL(blob)
    setShown({ blob, url })
    return () => URL.revokeObjectURL(url)
  }, [blob])
  // Of another Blob until the effect has run.
  return shown !== undefined && shown.blob === blob ? shown.url : undefined
}

function hasFiles(transfer: DataTransfer | null): boolean {
  return transfer?.types.includes('Files') === true
}
