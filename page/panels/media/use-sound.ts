import { useEffect, useRef, useState } from 'preact/hooks'
import { SOUND_LIMITS } from '../../media/limits.ts'
import type { Loaded } from '../../media/load-picture.ts'
import { loadSound, type Sound, soundOf } from '../../media/load-sound.ts'
import { type Recording, startRecording } from '../../media/microphone.ts'
import { voice } from '../../media/voice.ts'

export interface SoundState {
  readonly sound: Sound | undefined
  /** Why there is no new sound. The one before it stays. */
  readonly problem: string | undefined
  readonly opening: boolean
  /** While the microphone records: seconds so far, and how loud it is. */
  readonly recording: { readonly seconds: number; readonly level: number } | undefined
  readonly open: (blob: Blob, name: string) => void
  readonly openExample: () => void
  readonly record: () => void
  readonly stop: () => void
}

/** Samples a second of most models, for those that do not say. */
export const USUAL_RATE = 16_000

const NOTHING_RECORDED = 'The recording is empty. Press Record, speak for a second or more, and press Stop.'

/** Milliseconds between two looks at the microphone. */
const TICK = 100

/** The sound of a panel, which begins with an example. @param rate samples a second that the model takes */
export function useSound(rate: number): SoundState {
  const [sound, setSound] = useState<Sound>()
  const [problem, setProblem] = useState<string>()
  const [opening, setOpening] = useState(false)
  const [recording, setRecording] = useState<{ readonly seconds: number; readonly level: number }>()
  const running = useRef<Recording | undefined>(undefined)
  // What was begun last counts, however long it takes.
  const latest = useRef(0)

  const take = async (begin: () => Promise<Loaded<Sound>>): Promise<void> => {
    latest.current += 1
    const turn = latest.current
    setOpening(true)
    const loaded = await begin()
    if (turn !== latest.current) return
    setOpening(false)
    setProblem('problem' in loaded ? loaded.problem : undefined)
    if ('ok' in loaded) setSound(loaded.ok)
  }
  const example = async (): Promise<Loaded<Sound>> => ({
    ok: soundOf(voice(rate), 'example.wav', rate, SOUND_LIMITS),
  })

  const stop = (): void => {
    const ended = running.current
    running.current = undefined
    setRecording(undefined)
    if (ended === undefined) return
    void take(async () => {
      const blob = await ended.stop()
      const loaded = blob.size === 0 ? undefined : await loadSound(blob, 'recording.wav', rate, SOUND_LIMITS)
      // The browser has just written it: what cannot be read has no sound in it.
      return loaded !== undefined && 'ok' in loaded ? loaded : { problem: NOTHING_RECORDED }
    })
  }
  const record = async (): Promise<void> => {
    latest.current += 1
    const turn = latest.current
    setOpening(false)
    setProblem(undefined)
    const started = await startRecording()
    // Another sound was opened, or the panel left, while the browser asked for the microphone.
    if (turn !== latest.current) {
      if ('ok' in started) void started.ok.stop()
      return
    }
    if ('problem' in started) setProblem(started.problem)
    else {
      running.current = started.ok
      setRecording({ seconds: 0, level: 0 })
    }
  }

  const isRecording = recording !== undefined
  // One clock for each recording.
  useEffect(() => {
    if (!isRecording) return undefined
    const begin = performance.now()
    const clock = setInterval(() => {
      const seconds = (performance.now() - begin) / 1000
      if (seconds >= SOUND_LIMITS.seconds) stop()
      else setRecording({ seconds, level: running.current?.level() ?? 0 })
    }, TICK)
    return () => clearInterval(clock)
  }, [isRecording])

  // The example is what a model's panel begins with.
  useEffect(() => {
    void take(example)
    return () => {
      latest.current += 1
      void running.current?.stop()
      running.current = undefined
    }
  }, [rate])

  return {
    sound,
    problem,
    opening,
    recording,
    open: (blob, name) => void take(() => loadSound(blob, name, rate, SOUND_LIMITS)),
    openExample: () => void take(example),
    record: () => void record(),
    stop,
  }
}

/** Why a sound cannot be sent yet. */
export function missingSound({ recording, sound }: Pick<SoundState, 'recording' | 'sound'>): string | undefined {
  if (recording !== undefined) return 'Press Stop first.'
  return sound === undefined ? 'Record or choose a sound first.' : undefined
}
