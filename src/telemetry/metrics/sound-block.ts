import { isObject } from '../../core/objects.ts'
import type { GaugeReading, MetricBlock, SeriesDelta, Traffic } from './block.ts'
import { definitionOf } from './definitions.ts'

/** Characters of a label, and of an isolate's name. Names of models have 64, and patterns of routes fewer. */
const MOST_TEXT = 256
/** Numbers that are added to without loss. */
const MOST_COUNT = Number.MAX_SAFE_INTEGER

/**
 * A block without what no isolate can have counted: that is counted as lost. Undefined where it does not say whose it is. An
 * isolate of another version of Verge may leave out or add a field. Where its shard refused the block, it would send the
 * block again for ever; where the shard took it, one number that is none would stay in a total.
 */
export function soundBlock(block: MetricBlock): MetricBlock | undefined {
  const { gauges, lost, seq, series, source, traffic } = block
  if (!isText(source) || source === '' || !Number.isSafeInteger(seq)) return undefined
  const sound = {
    series: partsOf(series, isSeries),
    traffic: partsOf(traffic, isTraffic),
    gauges: partsOf(gauges, isGauge),
  }
  const left = partsOf(series, () => true).length - sound.series.length
  return { source, seq, ...sound, lost: (isCount(lost) ? lost : 0) + left }
}

function partsOf<T>(value: unknown, isSound: (part: unknown) => part is T): T[]
function partsOf(value: unknown, isSound: (part: unknown) => boolean): unknown[]
function partsOf(value: unknown, isSound: (part: unknown) => boolean): unknown[] {
  return Array.isArray(value) ? value.filter(isSound) : []
}

function isSeries(value: unknown): value is SeriesDelta {
  if (!isObject(value) || !hasLabels(value)) return false
  return Array.isArray(value.values) && value.values.every(isCount)
}

function isGauge(value: unknown): value is GaugeReading {
  if (!isObject(value) || !hasLabels(value)) return false
  return isCount(value.value) && (value.of === undefined || isCount(value.of))
}

/** A metric of another version of Verge may have any. */
function hasLabels({ labels, name }: Readonly<Record<string, unknown>>): boolean {
  if (!isText(name) || !Array.isArray(labels) || !labels.every(isText)) return false
  return labels.length === (definitionOf(name)?.labels.length ?? labels.length)
}

function isTraffic(value: unknown): value is Traffic {
  if (!isObject(value)) return false
  const { errors, model, place, requests, tokens, units, version } = value
  return [model, place, version].every(isText) && [errors, requests, tokens, units].every(isCount)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MOST_TEXT
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MOST_COUNT
}
