import type { Logger } from '../core/runtime.ts'
import type { Placement } from '../placement/placement.ts'
import type { Admission } from '../serving/admission.ts'
import type { Models, Runner } from '../serving/serving.ts'

/** What an inference needs from outside, whichever way it was asked for. */
export interface InferenceDeps {
  readonly serving: Models & Runner
  readonly admission: Admission
  readonly logger: Logger
  /** Absent where everything is computed here, as on an origin. */
  readonly placement?: Placement
}
