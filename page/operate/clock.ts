/** Times of the Worker, as the visitor's clock would show them. */

/** `14:05` */
export function clock(at: string): string {
  return new Date(at).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' })
}

/** `30 Nov, 14:05` */
export function dayAndClock(at: string): string {
  const day = new Date(at).toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })
  return `${day}, ${clock(at)}`
}
