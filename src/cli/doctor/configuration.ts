import { aliasKey } from '../../catalog/keys.ts'
import { MODEL_NAME } from '../../catalog/manifest.ts'
import { hasAccount, readAccount } from '../../cloudflare/account.ts'
import { CloudflareApi } from '../../cloudflare/api.ts'
import type { HttpClient } from '../../cloudflare/http.ts'
import { RestKvNamespace } from '../../cloudflare/kv-namespace.ts'
import { S3Bucket } from '../../cloudflare/s3-bucket.ts'
import { BUCKET_BINDING, type Environment, KV_BINDING, PLACEHOLDER } from '../../cloudflare/wrangler-config.ts'
import { type Config, parseConfig } from '../../config/config.ts'
import { BINDINGS, type BindingName, VARIABLES } from '../../config/variables.ts'
import type { OriginConfig } from '../../placement/config.ts'
import { KvStore } from '../../weights/kv.ts'
import { R2Store } from '../../weights/r2.ts'
import type { Store } from '../../weights/store.ts'
import { compatibilityDate } from '../local/workerd.ts'
import { API_KEY } from '../push/setup.ts'
import { understandable } from '../target/target.ts'
import { UsageError } from '../terminal/command-line.ts'
import { checkAdministration } from './administration.ts'
import { type Check, fail, ok, skip, warn } from './check.ts'
import { checkDeletions } from './deletions.ts'
import { checkIndex } from './lists.ts'
import { checkAnalytics, checkDurableObjects, checkRateLimits } from './objects.ts'
import { checkPages } from './pages.ts'
import { checkReleases } from './releases.ts'
import { checkVariables, originSecrets, unknownNames } from './variables.ts'

const AREA = 'configuration'
const ASSETS_BINDING: BindingName = 'ASSETS'
const YEAR_MS = 365 * 24 * 60 * 60 * 1000

/**
 * Checks an environment of wrangler.toml.
 * @param now milliseconds since 1970
 * @param written variables that are in wrangler.toml itself, where the environment's are with secrets of this machine
 */
export async function checkConfiguration(
  environment: Environment,
  now: number,
  written: Readonly<Record<string, unknown>> = environment.vars,
): Promise<Check[]> {
  const { env, bucket, namespaceId, vars } = environment
  const table = env === undefined ? 'the top level' : `[env.${env}]`
  const prefix = env === undefined ? '' : `env.${env}.`
  const checks: Check[] = []
  const found = resources(environment)
  for (const name of Object.keys(BINDINGS) as BindingName[]) {
    const { kind, table: toml, required } = BINDINGS[name]
    if (!required || found[name] !== undefined) continue
    const finding = `${table} binds no ${kind} to ${name}`
    checks.push(fail(AREA, finding, `Environments do not inherit bindings: add [[${prefix}${toml}]].`))
  }
  if (bucket !== undefined) checks.push(ok(AREA, `${BUCKET_BINDING} is the R2 bucket ${bucket}`))
  if (namespaceId !== undefined && env !== undefined && PLACEHOLDER.test(namespaceId)) {
    const finding = `${table} still has a placeholder for the KV namespace's id`
    checks.push(fail(AREA, finding, `npx verge setup --env ${env}`))
  } else if (namespaceId !== undefined) {
    checks.push(ok(AREA, `${KV_BINDING} is ${env === undefined ? 'local' : `the KV namespace ${namespaceId}`}`))
  }
  checks.push(
    checkDate(environment, now),
    ...checkDurableObjects(environment),
    ...checkRateLimits(environment),
    ...checkAnalytics(environment),
    ...checkPlayground(environment),
    ...(await checkVariables(AREA, vars, environment.bindings)),
  )
  for (const [name, { kind }] of Object.entries(VARIABLES)) {
    if (kind !== 'secret' || !(name in written)) continue
    const finding = `${name} is in wrangler.toml, where everyone with access to the repository can read it`
    const advice = `Remove it, create a new one, and set it: npx wrangler secret put ${name}${envOption(env)}`
    checks.push(fail(AREA, finding, advice))
  }
  if (env !== undefined) checks.push(...checkDeployed(environment))
  return checks
}

/** The resource that wrangler.toml binds to each name. */
function resources({
  assets,
  bucket,
  namespaceId,
  durableObjects,
  rateLimits,
}: Environment): Readonly<Record<BindingName, string | undefined>> {
  const bound = (name: BindingName): string | undefined => rateLimits.find((each) => each === name)
  return {
    BUCKET: bucket,
    KV: namespaceId,
    STREAMS: durableObjects.STREAMS,
    LEDGER: durableObjects.LEDGER,
    RELEASES: durableObjects.RELEASES,
    METRICS: durableObjects.METRICS,
    CANARIES: durableObjects.CANARIES,
    ADDRESS_RATE: bound('ADDRESS_RATE'),
    KEY_RATE: bound('KEY_RATE'),
    ASSETS: assets,
  }
}

function checkDate({ compatibilityDate: date, compatibilityFlags, vars }: Environment, now: number): Check {
  const tested = compatibilityDate()
  const parsed = Date.parse(date ?? '')
  if (Number.isNaN(parsed))
    return fail(AREA, 'there is no compatibility_date', `Write one: compatibility_date = "${tested}"`)
  if (parsed > now) return fail(AREA, `compatibility_date ${date} is in the future`, 'Use a date in the past.')
  if (!compatibilityFlags.includes('enable_request_signal')) {
    const fix = 'Add it to compatibility_flags. Without it, requests of disconnected callers stay in the run queue.'
    return warn(AREA, 'the flag enable_request_signal is missing', fix)
  }
  if (vars.OTLP_ENDPOINT !== undefined && !compatibilityFlags.includes('nodejs_als')) {
    return warn(
      AREA,
      'OTLP_ENDPOINT is set, and the flag nodejs_als is missing',
      'Add it to compatibility_flags. Without it no traces are recorded.',
    )
  }
  if (now - parsed > YEAR_MS) {
    const fix =
      'Upgrade wrangler, raise the date and run the tests. Until then, fixes of the runtime do not take effect.'
    return warn(AREA, `compatibility_date ${date} is more than a year old`, fix)
  }
  if (parsed < Date.parse(tested)) {
    const finding = `compatibility_date ${date} is older than ${tested}, the date that this release of Verge is tested with`
    return warn(AREA, finding, `Write compatibility_date = "${tested}" in wrangler.toml.`)
  }
  return ok(AREA, `compatibility date ${date}`)
}

/** Without files there is no page, which is a mistake only where it is not turned off. */
function checkPlayground({ assets, vars }: Environment): Check[] {
  if (vars.PLAYGROUND === 'off' || assets === ASSETS_BINDING) return []
  const finding = `no Workers Assets are bound to ${ASSETS_BINDING}: browsers get JSON at /, and no page`
  return [warn(AREA, finding, 'Add [assets] as in the wrangler.toml of Verge, or set PLAYGROUND = "off".')]
}

/** Settings that matter in a deployment only. */
function checkDeployed({ env, cpuMs, observability, sampling }: Environment): Check[] {
  return [
    cpuMs === undefined
      ? warn(
          AREA,
          'limits.cpu_ms is not set',
          'A request may use 30 s of CPU time. Set the limit, unless you use the free plan.',
        )
      : ok(AREA, `a request may use ${cpuMs} ms of CPU time (paid plans; the free plan refuses the setting)`),
    observability
      ? ok(AREA, `logs of ${Math.round(sampling * 100)} % of the requests are kept`)
      : warn(AREA, 'observability is off', `Failures leave no logs. Set [env.${env}.observability] enabled = true.`),
  ]
}

/** Checks the account, if there are credentials for it. Reads only. */
export async function checkAccount(
  environment: Environment,
  http: HttpClient,
  env: NodeJS.ProcessEnv,
): Promise<Check[]> {
  const area = 'account'
  if (environment.env === undefined) return []
  if (!hasAccount(env)) return [skip(area, 'CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID are not set')]
  const setup = `npx verge setup --env ${environment.env}`
  const { bucket, namespaceId, worker, vars } = environment
  // Faults of the variables are reported by checkVariables.
  const {
    pinnedModels: pinned = new Set<string>(),
    origins = [],
    plans,
    releaseKeys = [],
  } = await parseConfig(vars).catch((): Partial<Config> => ({}))
  try {
    const api = new CloudflareApi(http, readAccount(env))
    const credentials = await api.s3Credentials()
    const checks: Check[] = [ok(area, 'the API token is accepted')]
    let truth: Store | undefined
    let copy: Store | undefined
    if (bucket !== undefined) {
      const present = await api.hasBucket(bucket)
      checks.push(present ? ok(area, `bucket ${bucket} exists`) : fail(area, `there is no bucket ${bucket}`, setup))
      if (present) {
        const store = new R2Store(new S3Bucket({ http, endpoint: readAccount(env).r2, bucket, credentials }))
        checks.push(...(await checkPinned(area, store, pinned)))
        truth = store
      }
    }
    if (namespaceId !== undefined && !PLACEHOLDER.test(namespaceId)) {
      const present = (await api.namespaces()).some(({ id }) => id === namespaceId)
      if (present) copy = new KvStore(new RestKvNamespace(api, namespaceId))
      const absent = `the KV namespace ${namespaceId} is not in this account`
      checks.push(
        present ? ok(area, 'the KV namespace exists') : fail(area, absent, `Check the account id, or ${setup}`),
      )
    }
    if (truth !== undefined) {
      checks.push(...(await checkPages(truth, copy)))
      const named = plans === undefined ? undefined : new Set(plans.keys())
      const options = { env: environment.env, plans: named, now: Date.now() }
      checks.push(...(await checkAdministration(truth, copy, options)))
      checks.push(...(await checkReleases(truth, releaseKeys, Date.now())))
      checks.push(...(await checkIndex(truth)))
      checks.push(...(await checkDeletions(truth, environment.env, Date.now())))
    }
    const secrets = await api.secrets(worker)
    checks.push(...checkSecrets(area, environment, secrets ?? [], origins))
    if (secrets === null) {
      const deploy = `npx wrangler deploy --env ${environment.env}`
      checks.push(fail(area, `there is no Worker ${worker}`, deploy))
    } else if (secrets.includes(API_KEY)) {
      checks.push(ok(area, `secrets: ${secrets.join(', ')}`))
    } else {
      checks.push(
        warn(area, `${API_KEY} is not set: no caller can use private models`, `export ${API_KEY}, then ${setup}`),
      )
    }
    return checks
  } catch (failure) {
    const error = understandable(failure)
    if (!(error instanceof UsageError)) throw error
    return [fail(area, error.message, 'docs/deploy.md, "Account and token".')]
  }
}

/** Secrets that ORIGINS names: without one of them every request is answered 500. */
function checkSecrets(
  area: string,
  { env, vars }: Environment,
  secrets: readonly string[],
  origins: readonly OriginConfig[],
): Check[] {
  const needed = originSecrets(origins)
  const lacking = needed.filter(({ secret }) => !secrets.includes(secret) && !Object.hasOwn(vars, secret))
  return [
    ...lacking.map(({ origin, secret }) =>
      fail(
        area,
        `ORIGINS: origin "${origin}" needs the secret ${secret}, and every request is answered 500 without it`,
        `npx wrangler secret put ${secret}${envOption(env)}`,
      ),
    ),
    ...unknownNames(
      area,
      'secret',
      secrets,
      needed.map(({ secret }) => secret),
    ),
  ]
}

async function checkPinned(area: string, truth: Store, pinned: ReadonlySet<string>): Promise<Check[]> {
  const checks: Check[] = []
  for (const model of pinned) {
    if (MODEL_NAME.test(model) && (await truth.head(aliasKey(model))) !== null) continue
    checks.push(
      fail(
        area,
        `PINNED_MODELS names ${model}, but the bucket has no such model`,
        'Push the model, or remove its name.',
      ),
    )
  }
  return checks
}

function envOption(env: string | undefined): string {
  return env === undefined ? '' : ` --env ${env}`
}
