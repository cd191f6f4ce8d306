import type { RequestObservation, RequestObserver } from '../observation.ts'

/** A dataset of Analytics Engine: a point has 20 blobs of 16 KB together, 20 doubles and one index of 96 bytes at most. */
export interface AnalyticsDataset {
  writeDataPoint(point: { readonly indexes: string[]; readonly blobs: string[]; readonly doubles: number[] }): void
}

/** Bytes of an index. Names of models are ASCII, and no longer. */
const INDEX_BYTES = 96
/** What the clock could not know. */
const UNKNOWN = -1

/**
 * Leaves one data point of each inference. The platform takes it without a request, keeps it for three months, and samples
 * by the index where there are many: queries multiply by `_sample_interval`. docs/metrics.md has the columns.
 */
export class AnalyticsObserver implements RequestObserver {
  readonly #dataset: AnalyticsDataset

  constructor(dataset: AnalyticsDataset) {
    this.#dataset = dataset
  }

  observed(seen: RequestObservation): void {
    this.#dataset.writeDataPoint({
      indexes: [seen.model.slice(0, INDEX_BYTES)],
      blobs: [
        seen.model,
        seen.version,
        seen.place,
        seen.origin ?? '',
        seen.via,
        seen.code,
        seen.start ?? '',
        seen.cache ?? '',
        seen.continued === true ? 'continued' : '',
      ],
      doubles: [
        seen.units,
        seen.originUnits,
        seen.inputTokens,
        seen.outputTokens,
        seen.totalMs ?? UNKNOWN,
        seen.loadMs ?? UNKNOWN,
        seen.queueMs ?? UNKNOWN,
        seen.runMs ?? UNKNOWN,
        seen.originMs ?? UNKNOWN,
      ],
    })
  }
}
