import { type Context, Hono } from 'hono'
import type { Caller } from '../../access/authorize.ts'
import { VergeError } from '../../core/errors.ts'
import { refusedCredential } from '../../inference/access.ts'
import { bookedFor } from '../../metering/usage/request-row.ts'
import type { UsageQueries } from '../../metering/usage/usage-queries.ts'
import type { UsageQuestion } from '../../metering/usage/usage-tables.ts'
import type { UsagePrincipals } from '../../protocols/usage.ts'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { dayRange } from './day-range.ts'
import { usageReport } from './report.ts'

const GROUPS = ['day', 'model'] as const
/** As `bookedFor` makes them. */
const PRINCIPAL = /^(?:operator|anonymous|(?:key|user|service):[\x21-\x7e]{1,200})$/

/** What a caller has used; for the operator, what any of them has. */
export function usageRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get('/', async (c) => {
    const principal = principalFor(c.get('caller'), c.req.query('principal'))
    const range = dayRange({ from: c.req.query('from'), to: c.req.query('to') }, deps.clock.now(), deps.limits)
    const question: UsageQuestion = { ...range, group: groupOf(c) }
    const answer = await queriesOf(deps).of(principal, question, c.get('context').signal)
    return c.json(usageReport(principal, question, answer))
  })
  app.get('/principals', async (c) => {
    assertOperator(c.get('caller'))
    const { principals, cursor } = await queriesOf(deps).principals(cursorOf(c), c.get('context').signal)
    return c.json({ data: [...principals], next_cursor: cursor ?? null } satisfies UsagePrincipals)
  })
  return app
}

/** @throws not_implemented */
function queriesOf({ usage }: AppDeps): UsageQueries {
  if (usage !== undefined) return usage
  throw new VergeError(
    'not_implemented',
    'This server counts no usage. Bind the Durable Object LEDGER (docs/usage.md).',
  )
}

/**
 * Everyone may know their own usage, and the operator everyone's. A browser token is in the hands of a page's visitors, who
 * are told nothing of its key.
 * @throws unauthorized, forbidden, invalid_request
 */
function principalFor(caller: Caller, asked: string | undefined): string {
  if (asked !== undefined && !PRINCIPAL.test(asked)) {
    throw new VergeError(
      'invalid_request',
      'The parameter "principal" must be "operator", "anonymous", or begin with "key:", "user:" or "service:".',
      { details: { field: 'principal' } },
    )
  }
  if (caller.kind === 'operator') return asked ?? 'operator'
  if (caller.kind === 'granted' && caller.by === 'token') {
    throw new VergeError('forbidden', 'A browser token cannot read usage. Use the key that minted the token.')
  }
  const own = caller.kind === 'anonymous' ? undefined : bookedFor(caller)
  if (own === undefined) {
    throw (
      refusedCredential(caller, 'there is no usage to show') ??
      new VergeError('unauthorized', 'Usage is shown to callers with a key. Send one as a bearer token.')
    )
  }
  if (asked === undefined || asked === own) return own
  throw new VergeError('forbidden', 'This key reads its own usage only. Leave out "principal".')
}

/** @throws unauthorized, forbidden */
function assertOperator(caller: Caller): void {
  if (caller.kind === 'operator') return
  if (caller.kind === 'anonymous') {
    throw (
      refusedCredential(caller, 'principals are not listed') ??
      new VergeError('unauthorized', 'This needs the key of the operator.')
    )
  }
  throw new VergeError('forbidden', 'Only the operator may list principals.')
}

function groupOf(c: Context<AppEnv>): (typeof GROUPS)[number] {
  const asked = c.req.query('group') ?? 'day'
  const group = GROUPS.find((each) => each === asked)
  if (group !== undefined) return group
  throw new VergeError('invalid_request', `The parameter "group" must be one of ${GROUPS.join(', ')}.`, {
    details: { field: 'group' },
  })
}

const MOST_CURSOR = 2_048

function cursorOf(c: Context<AppEnv>): string | undefined {
  const cursor = c.req.query('cursor')
  if (cursor === undefined || (cursor !== '' && cursor.length <= MOST_CURSOR)) return cursor
  throw new VergeError('invalid_request', 'The parameter "cursor" must be the "next_cursor" of the page before.', {
    details: { field: 'cursor' },
  })
}
