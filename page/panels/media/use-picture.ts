import { useEffect, useRef, useState } from 'preact/hooks'
import { PICTURE_LIMITS } from '../../media/limits.ts'
import { loadPicture, type Picture } from '../../media/load-picture.ts'
import { scenePicture } from '../../media/scene.ts'

export interface PictureState {
  /** What is sent; undefined until the example is drawn. */
  readonly picture: Picture | undefined
  /** Why the last file was not taken. The picture before it stays. */
  readonly problem: string | undefined
  readonly opening: boolean
  readonly open: (blob: Blob, name: string) => void
  readonly openExample: () => void
}

/** The picture of a panel, which begins with an example. @param first what it begins with instead */
export function usePicture(first?: File): PictureState {
  const [picture, setPicture] = useState<Picture>()
  const [problem, setProblem] = useState<string>()
  const [opening, setOpening] = useState(true)
  // A slow large picture must not take the place of one that was chosen after it.
  const latest = useRef(0)
  const openLater = async (name: string, blob: () => Promise<Blob | undefined>): Promise<void> => {
    latest.current += 1
    const turn = latest.current
    setOpening(true)
    const given = await blob()
    const loaded =
      given === undefined
        ? { problem: 'This browser cannot draw the example. Choose a picture instead.' }
        : await loadPicture(given, name, PICTURE_LIMITS)
    if (turn !== latest.current) return
    setOpening(false)
    setProblem('problem' in loaded ? loaded.problem : undefined)
    if ('ok' in loaded) setPicture(loaded.ok)
  }
  const open = (blob: Blob, name: string): void => void openLater(name, async () => blob)
  const openExample = (): void => void openLater('example.png', scenePicture)
  // Once: the example is what the panel begins with.
  useEffect(() => {
    if (first === undefined) openExample()
    else open(first, first.name)
    return () => {
      latest.current = -1
    }
  }, [])
  return { picture, problem, opening, open, openExample }
}
