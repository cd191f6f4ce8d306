import type { OperationsBody, OperationsBudget } from '../../src/protocols/verge/operations.ts'
import { Scroll } from '../ui/index.ts'
import { dayAndClock } from './clock.ts'
import { Section, Unread, Unshown } from './section.tsx'
import { count, share, usd } from './words.ts'

/** What today cost, who spent it, and what their budgets leave. */
export function Callers({ body: { callers, cost } }: { readonly body: OperationsBody }) {
  return (
    <Section title="Cost and callers" note="estimated, at list prices">
      {cost === null ? (
        <Unread what="The cost" />
      ) : (
        <p class="operate-cost">
          <strong>{usd(cost.todayUsd)}</strong> today, {usd(cost.monthUsd)} this month
          {cost.countedAt !== undefined && (
            <span class="operate-small"> Counted until {dayAndClock(cost.countedAt)} or later.</span>
          )}
        </p>
      )}
      {callers === null ? (
        <Unshown what="The callers" />
      ) : callers.length === 0 ? (
        <p>No caller today.</p>
      ) : (
        <Scroll label="Callers">
          <table class="facts-table operate-table">
            <thead>
              <tr>
                <th scope="col">Caller</th>
                <th scope="col">Requests today</th>
                <th scope="col">Refused or failed</th>
                <th scope="col">Today</th>
                <th scope="col">Month</th>
                <th scope="col">Budgets</th>
                <th scope="col">Last use</th>
              </tr>
            </thead>
            <tbody>
              {callers.map((caller) => (
                <tr key={caller.principal}>
                  <th scope="row">
                    {caller.name ?? caller.principal}
                    {caller.name !== undefined && <span class="operate-small operate-under">{caller.principal}</span>}
                  </th>
                  <td>{count(caller.requestsToday)}</td>
                  <td>{share(caller.errorsToday, caller.requestsToday)}</td>
                  <td>{usd(caller.spentTodayUsd)}</td>
                  <td>{usd(caller.spentMonthUsd)}</td>
                  <td>
                    {caller.budgets.length === 0
                      ? 'none'
                      : caller.budgets.map((budget) => (
                          <Budget key={`${budget.period} ${budget.kind}`} budget={budget} />
                        ))}
                  </td>
                  <td>{dayAndClock(caller.lastUsedAt)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </Section>
  )
}

/** From here on it is close to its end, as the alert `VergeBudgetLow` sees it. */
const LOW = 0.9

function Budget({ budget: { kind, limit, period, used } }: { readonly budget: OperationsBudget }) {
  const part = limit === 0 ? 1 : Math.min(1, used / limit)
  const amount = kind === 'usd' ? usd(limit) : `${count(limit)} ${kind}`
  return (
    <div class="operate-budget">
      <span>
        {share(used, limit)} of {amount} a {period}
      </span>
      <span class="bars-track" aria-hidden="true">
        <div class={part > LOW ? 'bars-fill operate-fill-bad' : 'bars-fill'} style={{ width: `${part * 100}%` }} />
      </span>
    </div>
  )
}
