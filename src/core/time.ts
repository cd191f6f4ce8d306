/** The end of the year 9999, in milliseconds since 1970: after it years have more than four digits. */
export const LATEST_MS = 253_402_300_799_000

/** A time as ISO 8601 has it. One that a record has and no calendar does becomes the first or the last that it does. */
export function isoTime(ms: number): string {
  return new Date(Math.min(Math.max(0, ms), LATEST_MS)).toISOString()
}
