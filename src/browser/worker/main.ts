/** The web worker's script: models run here, so that the page stays smooth. */

import { systemClock } from '../../core/runtime.ts'
import type { ToWorker } from '../messages.ts'
import { browserLimits } from '../runtime/limits.ts'
import { WorkerHost } from './host.ts'
import { browserParts } from './parts.ts'

const host = new WorkerHost({
  post: (message, transfer) => postMessage(message, { transfer }),
  start: browserParts,
  clock: systemClock,
  limits: browserLimits(),
})

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => void host.receive(data))
