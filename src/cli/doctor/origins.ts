import { type Check, ok, skip, warn } from './check.ts'
import { fieldOf, type Visitor } from './visitor.ts'

const AREA = 'origins'

/** What the Worker says of an origin that it could ask or could not; its other reasons are about the model. */
const STATES: Readonly<Record<string, State>> = {
  up: 'up',
  'half-open': 'up',
  untried: 'untried',
  'origin-down': 'down',
}

type State = 'up' | 'untried' | 'down'

/**
 * How each origin is, by the word of the isolate that answers: what it found when it was last asked for a model.
 * @param models visible ones; origins that have none of them are not seen
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
  if (state === 'up') return ok(AREA, `${name} is asked`)
  if (state === 'untried') return skip(AREA, `${name} has not been asked yet by the isolate that answers`)
  if (state === undefined) return skip(AREA, `${name} is asked for none of these models`)
  const fix = 'Check whether it runs, and see docs/origin/troubleshooting.md.'
  return warn(AREA, `${name} is left out, because it failed when it was last asked`, fix)
}
