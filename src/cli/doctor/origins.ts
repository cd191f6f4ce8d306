import { type Check, ok, skip, warn } from './check.ts'
import { fieldOf, type Visitor } from './visitor.ts'

const AREA = 'origins'

/** Reasons of the Worker about an origin; its other reasons are about the model. */
const STATES: Readonly<Record<string, State>> = {
  up: 'up',
  'half-open': 'up',
  untried: 'untried',
  'origin-down': 'down',
}

type State = 'up' | 'untried' | 'down'

/**
 * The state of each origin as the answering isolate last saw it.
 * @param models visible models; origins that serve none of them are not reported
 */
export async function checkOrigins(visitor: Visitor, models: readonly string[]): Promise<Check[]> {
  if (!visitor.hasKey) return [skip(AREA, 'VERGE_API_KEY is not set: only the operator may see the state of origins')]
  const states = new Map<string, State | undefined>()
  for (const model of models) {
    for (const route of ['task', 'openai']) {
      const answer = await visitor.ask(`/explain/${model}?route=${route}`, { asOperator: true })
      const considered = fieldOf(answer.json, 'decision', 'considered')
      for (const each of Array.isArray(considered) ? (considered as readonly unknown[]) : []) {
        const name = fieldOf(each, 'name')
        if (fieldOf(each, 'place') !== 'origin' || typeof name !== 'string') continue
        states.set(name, STATES[String(fieldOf(each, 'reason'))] ?? states.get(name))
      }
    }
  }
  if (states.size === 0)
    return [skip(AREA, 'no origin is configured: the Worker serves every model that fits the edge')]
  return [...states].map(([name, state]) => stateCheck(name, state))
}

function stateCheck(name: string, state: State | undefined): Check {
  if (state === 'up') return ok(AREA, `${name} receives requests`)
  if (state === 'untried') return skip(AREA, `${name} has not received a request yet from the isolate that answered`)
  if (state === undefined) return skip(AREA, `${name} serves none of these models`)
  const fix = 'Check that it runs, and see docs/origin/troubleshooting.md.'
  return warn(AREA, `${name} is excluded, because its last request failed`, fix)
}
