import type { Grant } from '../../access/grant.ts'
import { ALIAS_PREFIX } from '../../catalog/keys.ts'
import { readEnvironment } from '../../cloudflare/wrangler-config.ts'
import { parseConfig } from '../../config/config.ts'
import type { Store } from '../../weights/store.ts'
import { localValues } from '../local/configuration.ts'
import { allKeys } from '../push/references.ts'
import { configPathOf, type TargetArguments } from '../target/arguments.ts'
import { closest } from '../terminal/closest.ts'
import { UsageError } from '../terminal/command-line.ts'

/** Longer lists are cut. */
const MOST_NAMED = 20

/**
 * Refuses names of models that do not exist: a typo would give a key that can do nothing. Prefixes may be of models to come.
 * @param old whose names are accepted: their models may have been removed
 * @throws UsageError that names what exists
 */
export async function assertModelsExist(
  truth: Store,
  grant: Grant,
  old: Grant | undefined,
  signal: AbortSignal,
): Promise<void> {
  const wanted = grant.models.filter((name) => !name.endsWith('*') && !old?.models.includes(name))
  if (wanted.length === 0) return
  const models = (await allKeys(truth, ALIAS_PREFIX, signal)).map((key) => key.slice(ALIAS_PREFIX.length))
  const unknown = wanted.find((name) => !models.includes(name))
  if (unknown === undefined) return
  throw new UsageError(
    `--models: there is no model "${unknown}". ${hint(unknown, models, 'models')} For models to come, give a prefix: ` +
      `--models "${unknown}*"`,
  )
}

/**
 * Refuses names of plans that the environment's PLANS does not have.
 * @throws UsageError that names what exists
 */
export async function assertPlanExists(values: TargetArguments, grant: Grant, old: Grant | undefined): Promise<void> {
  const { plan } = grant
  if (plan === undefined || plan === old?.plan) return
  const plans = await plansOf(values)
  if (plans.includes(plan)) return
  const where = values.env === undefined ? 'wrangler.toml' : `[env.${values.env}.vars] of wrangler.toml`
  throw new UsageError(
    `--plan: there is no plan "${plan}" in the variable PLANS of ${where}. ${hint(plan, plans, 'plans')}`,
  )
}

/** Names in PLANS, as the Worker would read it. @throws UsageError where the configuration is not valid */
async function plansOf({ env, config }: TargetArguments): Promise<string[]> {
  const configPath = configPathOf(config)
  const { PLANS } = env === undefined ? await localValues(configPath) : (await readEnvironment(configPath, env)).vars
  try {
    const { plans } = await parseConfig(PLANS === undefined ? {} : { PLANS })
    return [...plans.keys()]
  } catch (error) {
    throw new UsageError(`${(error as Error).message} Correct it in wrangler.toml, then run this command again.`)
  }
}

function hint(given: string, known: readonly string[], what: string): string {
  const meant = closest(given, known)
  if (meant !== undefined) return `Did you mean "${meant}"?`
  if (known.length === 0) return `There are no ${what} yet.`
  return `There are ${known.slice(0, MOST_NAMED).join(', ')}${known.length > MOST_NAMED ? ', and others' : ''}.`
}
