import { type Admission, BoundedAdmission, RenewingAdmission } from '../serving/admission.ts'
import type { Shared } from './shared.ts'

/** Slots of requests and of calls over bindings, which are the same ones, and of what is passed on beside them. */
export interface Admissions {
  readonly requests: Admission
  readonly calls: Admission
  readonly downloads: Admission
  readonly forwarded: Admission
}

/** Each slot is free again soon after its request was killed. */
export function admissionsOf({ clock, limits }: Pick<Shared, 'clock' | 'limits'>): Admissions {
  const renewing = (admission: Admission, mostMs: number): Admission =>
    new RenewingAdmission({ admission, clock, leaseMs: limits.callLeaseMs, renewMs: limits.callBeatMs, mostMs })
  const leaseMs = limits.ticketLeaseMs
  const inIsolate = new BoundedAdmission({
    slots: limits.admittedRequests,
    bodyBytes: limits.bodyBytesTogether,
    largeBodyBytes: limits.largeBodyBytesTogether,
    leaseMs,
    clock,
  })
  return {
    requests: renewing(inIsolate, limits.requestDeadlineMs),
    calls: renewing(inIsolate, limits.streamedAnswerMs),
    downloads: renewing(
      new BoundedAdmission({ slots: limits.downloads, bodyBytes: 0, leaseMs, clock }),
      limits.downloadMs,
    ),
    forwarded: renewing(
      new BoundedAdmission({ slots: limits.forwardedRequests, bodyBytes: limits.forwardedBodyBytes, leaseMs, clock }),
      limits.requestDeadlineMs,
    ),
  }
}
