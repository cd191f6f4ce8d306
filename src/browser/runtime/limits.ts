import { LIMITS, type Limits } from '../../core/limits.ts'

const MiB = 1024 * 1024

/** A device that does not say how much memory it has is taken for one that has this much. */
const COMMON_DEVICE_BYTES = 4 * 1024 * MiB
/** A page is a guest on its device: it takes this part of the memory at most. */
const SHARE = 8
const LEAST_HEAP = 128 * MiB
const MOST_HEAP = 1024 * MiB

/**
 * What differs from an isolate's limits in a visitor's browser. What a request may hold and cost is the same as at the edge, so
 * that the answers are. Memory is the device's, networks are slower, and no request is killed without running its `finally`.
 * @param deviceBytes of the device's memory, where it says so
 */
export function browserLimits(deviceBytes: number = COMMON_DEVICE_BYTES): Limits {
  const heap = Math.min(MOST_HEAP, Math.max(LEAST_HEAP, Math.floor(deviceBytes / SHARE)))
  return {
    ...LIMITS,
    engineHeapBytes: heap,
    /** As at the edge: the heap less the room of a run. */
    sessionBudgetBytes: heap - 16 * MiB,
    workingBytes: heap - 10 * MiB,
    ownWorkingBytes: heap - MiB,
    /** One artifact that fits the heap. */
    artifactBytes: heap - 8 * MiB,
    /** A load shows no sign of life while a phone is out of reach; its owner cannot die alone. */
    loadStaleMs: 600_000,
    /** Twenty megabytes over the slowest mobile networks. */
    loadDeadlineMs: 1_800_000,
    /** A phone may lose its network for a while; what has come is kept. */
    chunkStallMs: 30_000,
    /** A yield takes 4 ms, the least that browsers wait for nested timers. A run is nobody's obstacle but its own. */
    workBetweenYields: 5_000_000_000,
    /** A run may take seconds on an old phone, and its request waits for it. */
    turnLeaseMs: 60_000,
    ticketLeaseMs: 600_000,
  }
}
