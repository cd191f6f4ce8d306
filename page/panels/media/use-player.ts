import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { useObjectUrl } from './use-files.ts'

export interface Player {
  readonly playing: boolean
  /** Seconds from the beginning. */
  readonly time: number
  /** Why it does not play. */
  readonly problem: string | undefined
  readonly toggle: () => void
  readonly seek: (time: number) => void
  /** Plays from a time to another. */
  readonly playPart: (start: number, end: number) => void
}

/** Plays a sound without showing a player: the timeline is one. */
export function usePlayer(sound: Blob | undefined): Player {
  const url = useObjectUrl(sound)
  const audio = useMemo(() => new Audio(), [])
  const end = useRef(Number.POSITIVE_INFINITY)
  const [playing, setPlaying] = useState(false)
  const [time, setTime] = useState(0)
  const [problem, setProblem] = useState<string>()

  useEffect(() => {
    setTime(0)
    setProblem(undefined)
    if (url === undefined) return undefined
    audio.src = url
    return () => {
      audio.pause()
      audio.removeAttribute('src')
    }
  }, [url, audio])

  useEffect(() => {
    let frame = 0
    const follow = (): void => {
      setTime(audio.currentTime)
      if (audio.currentTime >= end.current) audio.pause()
      if (!audio.paused) frame = requestAnimationFrame(follow)
    }
    const began = (): void => {
      setPlaying(true)
      frame = requestAnimationFrame(follow)
    }
    const paused = (): void => {
      setPlaying(false)
      // However late the end of a part was noticed, or if the sound itself was over before.
      if (Number.isFinite(end.current)) {
        audio.currentTime = end.current
        setTime(end.current)
      }
      end.current = Number.POSITIVE_INFINITY
    }
    audio.addEventListener('play', began)
    audio.addEventListener('pause', paused)
    audio.addEventListener('ended', paused)
    return () => {
      cancelAnimationFrame(frame)
      audio.removeEventListener('play', began)
      audio.removeEventListener('pause', paused)
      audio.removeEventListener('ended', paused)
    }
  }, [audio])

  const play = (): void => {
    audio.play().then(
      () => setProblem(undefined),
      (error: Error) => {
        // A pause right after it is no failure.
        if (error.name !== 'AbortError') setProblem('The browser cannot play this sound. It can still be sent.')
      },
    )
  }
  const seek = (to: number): void => {
    end.current = Number.POSITIVE_INFINITY
    audio.currentTime = to
    setTime(to)
  }
  return {
    playing,
    time,
    problem,
    seek,
    toggle: () => {
      end.current = Number.POSITIVE_INFINITY
      if (audio.paused) play()
      else audio.pause()
    },
    playPart: (start, until) => {
      seek(start)
      end.current = until
      play()
    },
  }
}
