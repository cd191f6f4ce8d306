import * as z from 'zod'
import { type Plan, planSchema } from '../access/plan.ts'
import { MODEL_NAME } from '../catalog/manifest.ts'
import { text } from './values.ts'

const PLAN_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/
/** A variable of the platform has 5 KB. */
const MOST_LENGTH = 64 * 1024

/** What a model's callers may ask of it together. */
export type ModelLimits = Pick<Plan, 'rate' | 'concurrency'>

/** What goes on while the ledger does not answer: `open` admits, `closed` refuses. */
export interface WhenUnavailable {
  readonly rates: 'open' | 'closed'
  readonly budgets: 'open' | 'closed'
}

/** Plans by name, as JSON; none where it is absent. */
export const plans = table(planSchema, PLAN_NAME, 'the name of a plan')

/** What models may be asked, by name, as JSON; none where it is absent. */
export const modelLimits = table<ModelLimits>(
  z.strictObject({ rate: planSchema.shape.rate, concurrency: planSchema.shape.concurrency }),
  MODEL_NAME,
  'the name of a model',
)

const MEANS = ['open', 'closed'] as const

/** `rates=open, budgets=closed`: what is left out keeps its default. */
export const whenUnavailable = text.transform((list, context): WhenUnavailable => {
  const found: Record<keyof WhenUnavailable, 'open' | 'closed'> = { rates: 'open', budgets: 'closed' }
  for (const part of list.split(',').filter((each) => each.trim() !== '')) {
    const [name = '', value = ''] = part.split('=').map((each) => each.trim())
    const means = MEANS.find((each) => each === value)
    if ((name !== 'rates' && name !== 'budgets') || means === undefined) {
      context.addIssue('must be rates=open or rates=closed, and budgets=open or budgets=closed, separated by commas')
      return z.NEVER
    }
    found[name] = means
  }
  return found
})

/** An object in JSON whose members are checked one by one. Messages name the member, and never show a value. */
function table<Value>(schema: z.ZodType<Value>, name: RegExp, called: string) {
  return text.transform((json, context): ReadonlyMap<string, Value> => {
    const refuse = (message: string): never => {
      context.addIssue(message)
      return z.NEVER
    }
    if (json === '') return new Map()
    if (json.length > MOST_LENGTH) return refuse(`must have at most ${MOST_LENGTH} characters`)
    const members = membersOf(json)
    if (members === undefined) return refuse('must be an object in JSON')
    const found = new Map<string, Value>()
    for (const [key, value] of members) {
      if (!name.test(key)) return refuse(`its members must each have ${called}`)
      const parsed = schema.safeParse(value)
      if (!parsed.success) {
        const [issue] = parsed.error.issues
        return refuse(`${[key, ...(issue?.path ?? [])].join('.')}: ${issue?.message ?? 'is wrong'}`)
      }
      found.set(key, parsed.data)
    }
    return found
  })
}

function membersOf(json: string): [string, unknown][] | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined
  } catch {
    return undefined
  }
}
