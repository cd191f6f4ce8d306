import * as z from 'zod'
import type { Finding } from './finding.ts'

const day = z.iso.date('must be a date like 2026-11-30')

/** Longest that a decision holds before somebody has to look again. */
const MOST_DAYS = 366

const acceptedSchema = z
  .strictObject({
    /** A package's name, or the beginning of one with "*" behind it. */
    package: z.string().min(1),
    what: z.string().min(1),
    reason: z.string().min(10, 'must say why the finding does no harm here'),
    /** Who decided. */
    by: z.string().min(1),
    on: day,
    until: day,
  })
  .refine(({ on, until }) => until > on && daysBetween(on, until) <= MOST_DAYS, {
    path: ['until'],
    message: `must be after "on", and at most ${MOST_DAYS} days`,
  })

export const acceptedFileSchema = z.array(acceptedSchema)
export type Accepted = z.infer<typeof acceptedSchema>

export interface Decided {
  /** Nobody has accepted them, or not any more. */
  readonly open: readonly string[]
  readonly accepted: readonly string[]
  /** What the file has and nothing was found for. */
  readonly unused: readonly string[]
}

/**
 * Sorts findings by what was decided about them.
 * @param today as YYYY-MM-DD
 */
export function decide(findings: readonly Finding[], file: readonly Accepted[], today: string): Decided {
  const open: string[] = []
  const accepted: string[] = []
  const used = new Set<Accepted>()
  for (const finding of findings) {
    const decisions = file.filter((each) => each.what === finding.what && names(each.package, finding.package))
    for (const decision of decisions) used.add(decision)
    const valid = decisions.find(({ until }) => today <= until)
    const [expired] = decisions
    if (valid !== undefined) {
      accepted.push(`${finding.message} Accepted by ${valid.by} on ${valid.on}, until ${valid.until}: ${valid.reason}`)
    } else if (expired !== undefined) {
      open.push(`${finding.message} It was accepted by ${expired.by} until ${expired.until}: decide again.`)
    } else open.push(finding.message)
  }
  const unused = file
    .filter((each) => !used.has(each))
    .map((each) => `${each.package}, ${each.what}: accepted on ${each.on}, and no longer found. Remove the entry.`)
  return { open, accepted, unused }
}

function names(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name
}

function daysBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 86_400_000
}
