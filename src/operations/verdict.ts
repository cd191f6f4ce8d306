import type { Health, OperationsAlert, OperationsBody, Traffic } from '../protocols/verge/operations.ts'
import { ALERTS, type AlertName } from './alerts.ts'

/** What the verdict goes by. */
export type Facts = Pick<OperationsBody, 'totals' | 'models' | 'origins' | 'callers' | 'problems'>

export interface Verdict {
  readonly health: Health
  /** The critical ones first. */
  readonly alerts: OperationsAlert[]
}

/** Applies the thresholds of `ALERTS` to what was read. Pure: the same facts always get the same verdict. */
export function verdictOf(facts: Facts): Verdict {
  const alerts = [
    ...errorAlerts(facts),
    ...canaryAlerts(facts),
    ...originAlerts(facts),
    ...problemAlerts(facts),
    ...budgetAlerts(facts),
  ]
  const critical = alerts.filter(({ severity }) => severity === 'critical')
  const warning = alerts.filter(({ severity }) => severity === 'warning')
  const health = critical.length > 0 ? 'critical' : warning.length > 0 ? 'warning' : 'ok'
  return { health, alerts: [...critical, ...warning] }
}

type Subject = Pick<OperationsAlert, 'model' | 'version' | 'origin' | 'principal'>

function alert(name: AlertName, subject: Subject, what: string): OperationsAlert {
  const { do: advice, severity } = ALERTS[name]
  // A command that names a model can be copied as it is.
  return { name, severity, ...subject, what, do: advice.replace('MODEL', subject.model ?? 'MODEL') }
}

function errorAlerts({ totals, models }: Facts): OperationsAlert[] {
  const found: OperationsAlert[] = []
  if (totals !== null && fails('VergeErrors', totals.last5m)) {
    found.push(alert('VergeErrors', {}, `${failed(totals.last5m)} of all models failed.`))
  }
  for (const { model, traffic } of models ?? []) {
    if (traffic === null || !fails('VergeModelErrors', traffic.last5m)) continue
    found.push(alert('VergeModelErrors', { model }, `${failed(traffic.last5m)} to ${model} failed.`))
  }
  return found
}

function fails(name: 'VergeErrors' | 'VergeModelErrors', { errors, requests }: Traffic): boolean {
  const { above, leastRequests } = ALERTS[name]
  return requests >= leastRequests && errors / requests > above
}

function failed({ errors, requests }: Traffic): string {
  return `${percent(errors / requests)} of the last five minutes' ${requests} requests`
}

function canaryAlerts({ models }: Facts): OperationsAlert[] {
  return (models ?? []).flatMap(({ model, stopped }) =>
    stopped === undefined
      ? []
      : [
          alert(
            'VergeCanaryStopped',
            { model, version: stopped.version },
            `Version ${stopped.version} of ${model} was taken out: ${stopped.reason}`,
          ),
        ],
  )
}

function originAlerts({ origins }: Facts): OperationsAlert[] {
  const all = origins ?? []
  const down = all.filter(({ up }) => up === false)
  if (down.length === 0) return []
  if (down.length / all.length > ALERTS.VergeOriginsDown.above) {
    return [alert('VergeOriginsDown', {}, `No origin answers: ${down.map(({ name }) => name).join(', ')}.`)]
  }
  return down.map(({ name, detail, failures }) =>
    alert(
      'VergeOriginDown',
      { origin: name },
      `Origin ${name} failed ${failures} ${failures === 1 ? 'probe' : 'probes'}${detail === undefined ? '.' : `: ${detail}`}`,
    ),
  )
}

function problemAlerts({ problems }: Facts): OperationsAlert[] {
  return problems.length > ALERTS.VergeMetricsUnreadable.above
    ? [
        alert(
          'VergeMetricsUnreadable',
          {},
          `This report is not complete: ${problems.map(({ part }) => part).join(', ')}.`,
        ),
      ]
    : []
}

function budgetAlerts({ callers }: Facts): OperationsAlert[] {
  return (callers ?? []).flatMap(({ budgets, name, principal }) => {
    const [tightest] = budgets.toSorted((a, b) => share(b) - share(a))
    if (tightest === undefined || share(tightest) <= ALERTS.VergeBudgetLow.above) return []
    const { kind, limit, period } = tightest
    const what = `${name ?? principal} has used ${percent(share(tightest))} of its ${limit} ${kind} for this ${period}.`
    return [alert('VergeBudgetLow', { principal }, what)]
  })
}

/** A budget of nothing is used up. */
function share({ limit, used }: { readonly limit: number; readonly used: number }): number {
  return limit === 0 ? 1 : used / limit
}

function percent(part: number): string {
  return `${(100 * part).toFixed(1)} %`
}
