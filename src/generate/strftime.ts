/** Names by `Intl` would be the same; these are Python's in its "C" locale, which templates are written for. */
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

/**
 * Python's `strftime`, in UTC and with the directives that chat templates use; others stay as they are written.
 * @param now milliseconds since 1970
 */
export function strftime(now: number, format: string): string {
  const date = new Date(now)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = DAYS[date.getUTCDay()] ?? ''
  const month = MONTHS[date.getUTCMonth()] ?? ''
  const hours = date.getUTCHours()
  const directives: Readonly<Record<string, string>> = {
    a: day.slice(0, 3),
    A: day,
    b: month.slice(0, 3),
    B: month,
    d: two(date.getUTCDate()),
    H: two(hours),
    I: two(hours % 12 === 0 ? 12 : hours % 12),
    m: two(date.getUTCMonth() + 1),
    M: two(date.getUTCMinutes()),
    p: hours < 12 ? 'AM' : 'PM',
    S: two(date.getUTCSeconds()),
    y: two(date.getUTCFullYear() % 100),
    Y: String(date.getUTCFullYear()),
    Z: 'UTC',
    '%': '%',
  }
  return format.replace(/%(.)/gs, (whole, letter: string) => directives[letter] ?? whole)
}
