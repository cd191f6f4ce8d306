import { type ReleaseBody, releaseBodySchema } from '../../protocols/verge/releases.ts'
import { counted, duration, printable } from '../terminal/format.ts'
import { type Check, ok, skip, warn } from './check.ts'
import { gist, type Visitor } from './visitor.ts'

const AREA = 'canaries'
/** Each is a request that reads an alias. */
const MOST_MODELS = 100
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** A trial of so many requests or comparisons has told apart what the rule tells apart (docs/canary.md). */
const ENOUGH = 200
/** A busy model has reached `ENOUGH` within it. */
const LONG_MS = DAY_MS
/** Nobody waits for so long on purpose. */
const FORGOTTEN_MS = 14 * DAY_MS
/** Of sampled requests, of which not one was compared. */
const NONE_COMPARED = 20

/**
 * Whether a trial waits for somebody: a canary that meets too few requests to be judged, or was judged and left, and one
 * that was taken out.
 * @param now milliseconds since 1970
 */
export async function checkTrials(visitor: Visitor, models: readonly string[], now: number): Promise<Check[]> {
  if (!visitor.hasKey) return []
  const checks: Check[] = []
  let trials = 0
  for (const model of models.slice(0, MOST_MODELS)) {
    const answer = await visitor.ask(`/v1/releases/${model}`, { asOperator: true })
    const read = answer.status === 200 ? releaseBodySchema.safeParse(answer.json) : undefined
    if (!read?.success) {
      checks.push(warn(AREA, `the release of ${model} cannot be read: ${printable(gist(answer))}`, OLDER))
      continue
    }
    if (read.data.canary !== null) trials++
    const found = trialCheck(read.data, now)
    if (found !== undefined) checks.push(found)
  }
  if (checks.length === 0) {
    checks.push(
      ok(
        AREA,
        trials === 0 ? 'no canary is on trial' : `${counted(trials, 'trial')} under way, and none waits for you`,
      ),
    )
  }
  if (models.length > MOST_MODELS) {
    checks.push(skip(AREA, `${models.length - MOST_MODELS} more models: only the first ${MOST_MODELS} are checked`))
  }
  return checks
}

const OLDER = 'Deploy the version of Verge that this folder has.'

function trialCheck(release: ReleaseBody, now: number): Check | undefined {
  const { canary, model, stopped } = release
  if (stopped !== null) {
    const since = age(now - Date.parse(stopped.at))
    return warn(
      AREA,
      `canary ${stopped.version} of ${model} was taken out ${since} ago (${printable(stopped.reason)}), and no command has changed the model since`,
      `Look: npx verge models ${model}. Confirm what is live: npx verge release ${model} --rollback`,
    )
  }
  return canary === null ? undefined : canaryCheck(release, canary, now)
}

function canaryCheck(
  { generation, model, unreachable, watch }: ReleaseBody,
  { guarded, shadow = 0, version }: NonNullable<ReleaseBody['canary']>,
  now: number,
): Check | undefined {
  const who = `canary ${version} of ${model}`
  if (unreachable) {
    const fix = 'Run the doctor again. If the problem remains, read the log: npx wrangler tail'
    return warn(AREA, `the object that watches ${who} does not answer: the canary does not go back by itself`, fix)
  }
  const more = `Give it more: npx verge release ${model} ${version}=25, add --shadow 20, or measure it: npx verge probe ${model}`
  if (watch?.generation !== generation) {
    return warn(AREA, `no request of ${who} is counted since it was released like this`, more)
  }
  const { counts, failedStops, reason = '', verdict } = watch
  if (verdict === 'worse') {
    const fix = `Take it out: npx verge release ${model} --rollback. To have it go back by itself: --guard`
    return warn(AREA, `${who} is worse (${printable(reason)}), and is not guarded`, fix)
  }
  if (failedStops > 0 && verdict === 'stopping') {
    const fix = `The Worker tries again. To do it now: npx verge release ${model} --rollback`
    return warn(AREA, `${who} is to be taken out, and its alias could not be written ${failedStops} times`, fix)
  }
  const { canary, disagreed, incomparable = 0, skipped } = counts
  const notCompared = skipped + incomparable
  if (shadow > 0 && disagreed.of === 0 && notCompared >= NONE_COMPARED) {
    const finding = `of ${notCompared} sampled requests of ${who} none was compared: ${skipped} for want of time or memory, ${incomparable} of a kind that never is`
    return warn(
      AREA,
      finding,
      'docs/canary.md, "What is compared", says why. Judge it by errors and by npx verge probe.',
    )
  }
  const ms = now - Date.parse(watch.since)
  const seen = Math.max(canary.requests, disagreed.of)
  const figures = `${counted(canary.requests, 'request')} and ${counted(disagreed.of, 'comparison')} in ${age(ms)}`
  if (ms > LONG_MS && seen < ENOUGH) return warn(AREA, `${who} has had ${figures}: too few to judge it`, more)
  if (ms > FORGOTTEN_MS) {
    const fix = `Decide: npx verge release ${model} --promote, or --rollback`
    return warn(AREA, `${who} has had ${figures}${guarded ? ', and is no worse' : ''}`, fix)
  }
  return undefined
}

/** A time that is over, as coarse as a person tells it. */
function age(ms: number): string {
  const [days, hours] = [Math.floor(ms / DAY_MS), Math.floor(ms / HOUR_MS)]
  if (days >= 2) return `${days} days`
  return hours >= 2 ? `${hours} hours` : duration(Math.max(0, ms))
}
