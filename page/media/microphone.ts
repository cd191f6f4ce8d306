/** Records by the microphone, and says in words why it cannot. */
import type { Loaded } from './load-picture.ts'

export interface Recording {
  /** Ends it, and lets the microphone go. Empty if nothing was recorded. */
  stop(): Promise<Blob>
  /** How loud it is now, from 0 to 1. */
  level(): number
}

export async function startRecording(): Promise<Loaded<Recording>> {
  // Typed as always there, but absent on pages without a secure connection.
  const devices: MediaDevices | undefined = navigator.mediaDevices
  if (devices === undefined || typeof MediaRecorder === 'undefined') {
    return {
      problem: isSecureContext
        ? 'This browser cannot record. Choose a sound file instead.'
        : 'Browsers let pages record only over https and on localhost. Open the page there, or choose a sound file.',
    }
  }
  let stream: MediaStream
  try {
    stream = await devices.getUserMedia({ audio: true })
  } catch (error) {
    return { problem: microphoneProblem(error) }
  }
  const release = (): void => {
    for (const track of stream.getTracks()) track.stop()
  }
  try {
    return { ok: recordingOf(stream, release) }
  } catch {
    release()
    return { problem: 'This browser cannot record from the microphone. Choose a sound file instead.' }
  }
}

function recordingOf(stream: MediaStream, release: () => void): Recording {
  const pieces: Blob[] = []
  const recorder = new MediaRecorder(stream)
  recorder.ondataavailable = ({ data }) => pieces.push(data)
  const ended = new Promise<void>((resolve) => {
    recorder.onstop = () => resolve()
    recorder.onerror = () => resolve()
  })
  recorder.start()
  const meter = levelMeter(stream)
  return {
    async stop() {
      // It has stopped by itself if the microphone was unplugged.
      if (recorder.state !== 'inactive') recorder.stop()
      await ended
      meter.close()
      release()
      return new Blob(pieces, { type: recorder.mimeType })
    },
    level: meter.level,
  }
}

function levelMeter(stream: MediaStream): { readonly level: () => number; readonly close: () => void } {
  const context = new AudioContext()
  const analyser = context.createAnalyser()
  context.createMediaStreamSource(stream).connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  return {
    level() {
      analyser.getFloatTimeDomainData(samples)
      return Math.min(
        1,
        1.5 * Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length) ** 0.7,
      )
    },
    close: () => void context.close(),
  }
}

function microphoneProblem(error: unknown): string {
  switch (error instanceof DOMException ? error.name : '') {
    case 'NotAllowedError':
    case 'SecurityError':
      return 'The microphone is not allowed on this page. Allow it in the settings of the browser beside the address, and press Record again; or choose a sound file.'
    case 'NotFoundError':
      return 'This device has no microphone. Connect one and press Record again, or choose a sound file.'
    case 'NotReadableError':
    case 'AbortError':
      return 'The microphone does not work; perhaps another program uses it. Close that program and press Record again, or choose a sound file.'
    default:
      return 'The microphone cannot be used. Choose a sound file instead.'
  }
}
