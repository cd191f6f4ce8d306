/** Whether something happened less than so many milliseconds ago. What lies ahead did not: the clock was set back. */
export function isWithin(ms: number, at: number, now: number): boolean {
  return at <= now && now - at < ms
}
