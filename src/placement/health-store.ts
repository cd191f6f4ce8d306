import { type Limits, PLATFORM } from '../core/limits.ts'
import { HEALTH_KEY, type HealthRecord, type HealthStore } from './health.ts'

/** What is used of a KV namespace. */
export interface HealthNamespace {
  get(key: string, options: { type: 'text'; cacheTtl: number }): Promise<string | null>
  put(key: string, value: string): Promise<void>
}

/** The health record in a KV namespace: seen everywhere within a minute or so. */
export class KvHealthStore implements HealthStore {
  readonly #namespace: HealthNamespace
  readonly #limits: Pick<Limits, 'healthRecordLength'>

  constructor(namespace: HealthNamespace, limits: Pick<Limits, 'healthRecordLength'>) {
    this.#namespace = namespace
    this.#limits = limits
  }

  async read(): Promise<unknown> {
    const text = await this.#namespace.get(HEALTH_KEY, { type: 'text', cacheTtl: PLATFORM.kvMutableTtlSeconds })
    if (text === null || text.length > this.#limits.healthRecordLength) return null
    try {
      return JSON.parse(text)
    } catch {
      return null
    }
  }

  async write(record: HealthRecord): Promise<void> {
    await this.#namespace.put(HEALTH_KEY, JSON.stringify(record))
  }
}
