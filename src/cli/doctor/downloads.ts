import { LIMITS } from '../../core/limits.ts'
import { type BrowserPlan, browserPlanPath, browserPlanSchema, weightsPath } from '../../protocols/browser/wire.ts'
import { sha256 } from '../pack/bytes.ts'
import { binarySize, counted } from '../terminal/format.ts'
import { type Check, fail, ok, warn } from './check.ts'
import { remedyFor } from './remedies.ts'
import { codeOf, gist, type Visitor } from './visitor.ts'

const BETWEEN = 'Check what lies between here and the Worker: it may change bodies or headers.'

/** Codes of Workers that give this model, or any, to no browser. */
const CLOSED = ['not_downloadable', 'not_found']

/**
 * Checks a downloadable model as a browser receives it: its plan, and a chunk with its digest, headers and a range. Nothing for
 * other models.
 */
export async function downloadChecks(area: string, visitor: Visitor, model: string): Promise<Check[]> {
  const answer = await visitor.ask(browserPlanPath(model), { asOperator: true })
  const code = codeOf(answer)
  if (code !== undefined && CLOSED.includes(code)) return []
  if (answer.status !== 200) return [fail(area, `has no plan for browsers: ${gist(answer)}`, remedyFor(answer))]
  const plan = browserPlanSchema.safeParse(answer.json)
  if (!plan.success) return [fail(area, 'has a plan for browsers that cannot be read', BETWEEN)]
  return [await chunkCheck(area, visitor, plan.data)]
}

async function chunkCheck(
  area: string,
  visitor: Visitor,
  { artifacts, files, model, version }: BrowserPlan,
): Promise<Check> {
  const pages = artifacts.flatMap((artifact) => artifact.pages ?? [])
  const chunks = [...artifacts, ...pages, ...Object.values(files)].flatMap((blob) => blob.chunks)
  const [chunk] = chunks
  if (chunk === undefined || chunk.bytes > LIMITS.chunkBytes) {
    return fail(area, 'has a plan for browsers without weights', `Push the model again: npx verge push ${model}`)
  }
  // With a canary the plan may be of any live version, and they have other chunks.
  const path = weightsPath(model, chunk.sha256, version)
  const visit = { asOperator: true, mostBytes: LIMITS.chunkBytes }
  const whole = await visitor.ask(path, visit)
  if (whole.status !== 200) return fail(area, `gives browsers no weights: ${gist(whole)}`, remedyFor(whole))
  if (sha256(whole.bytes) !== chunk.sha256) {
    const fix = `Push the model again: npx verge push. If that does not help: ${BETWEEN}`
    return fail(area, 'gives browsers weights with the wrong digest, which they refuse', fix)
  }
  const part = await visitor.ask(path, { ...visit, headers: { range: 'bytes=0-0' } })
  const missing = [
    whole.headers.get('etag') === `"${chunk.sha256}"` ? [] : ['etag'],
    whole.headers.get('cache-control')?.includes('immutable') ? [] : ['cache-control'],
    part.status === 206 && part.bytes[0] === whole.bytes[0] ? [] : ['ranges'],
  ].flat()
  if (missing.length > 0) {
    const finding = `gives browsers weights without ${missing.join(', ')}: they are downloaded again each time, or from the beginning`
    return warn(area, finding, BETWEEN)
  }
  const size = binarySize(chunks.reduce((sum, { bytes }) => sum + bytes, 0))
  return ok(area, `browsers may download it: ${counted(chunks.length, 'chunk')} (${size}); the first has its digest`)
}
