import type { Environment } from '../../cloudflare/wrangler-config.ts'
import type { BindingName } from '../../config/variables.ts'
import { type Check, fail, ok, warn } from './check.ts'

const AREA = 'configuration'

interface ObjectBinding {
  readonly binding: BindingName
  readonly className: string
  /** Of the migration that declares the class. */
  readonly tag: string
  /** What happens without it. */
  readonly without: string
}

/** Durable Objects of the Worker. */
const OBJECTS: readonly ObjectBinding[] = [
  {
    binding: 'STREAMS',
    className: 'SpeechStream',
    tag: 'streams',
    without: 'GET /stream/{model} is answered 501',
  },
  {
    binding: 'LEDGER',
    className: 'Ledger',
    tag: 'ledger',
    without: 'callers with a budget are answered 503, and each isolate counts rates by itself',
  },
  {
    binding: 'RELEASES',
    className: 'ReleaseGuard',
    tag: 'releases',
    without: 'with RELEASE_KEYS, an isolate recognises an older release only if it has served the newer one itself',
  },
  {
    binding: 'METRICS',
    className: 'Metrics',
    tag: 'metrics',
    without: 'nothing is counted, and GET /metrics is answered 501',
  },
  {
    binding: 'CANARIES',
    className: 'CanaryWatch',
    tag: 'canaries',
    without: 'no canary is watched, and none goes back by itself',
  },
]

export function checkDurableObjects(environment: Environment): Check[] {
  return OBJECTS.map((object) => checkObject(object, environment))
}

function checkObject(
  { binding, className, tag, without }: ObjectBinding,
  { env, durableObjects, migrated }: Environment,
): Check {
  const table = env === undefined ? '' : `env.${env}.`
  const name = durableObjects[binding]
  if (name === undefined) {
    return fail(
      AREA,
      `no Durable Object is bound to ${binding}: ${without}`,
      `Environments do not inherit bindings: add [[${table}durable_objects.bindings]] as at the top level.`,
    )
  }
  if (name !== className) {
    return fail(
      AREA,
      `${binding} names the class ${name}, which the Worker does not have`,
      `Write class_name = "${className}".`,
    )
  }
  if (!migrated.includes(name)) {
    const fix = `Add [[migrations]] with tag = "${tag}" and new_sqlite_classes = ["${className}"].`
    return fail(AREA, `no migration declares the class ${name}, so Cloudflare refuses the deployment`, fix)
  }
  return ok(AREA, `${binding} is the Durable Object ${name}`)
}

const ANALYTICS = 'ANALYTICS'

/** Where each inference leaves a data point, if anywhere. Data points that are not wanted need no dataset. */
export function checkAnalytics({ datasets }: Pick<Environment, 'datasets'>): Check[] {
  const dataset = datasets[ANALYTICS]
  if (dataset !== undefined) return [ok(AREA, `${ANALYTICS} is the Analytics Engine dataset ${dataset}`)]
  return Object.entries(datasets).map(([binding, name]) =>
    warn(
      AREA,
      `the Analytics Engine dataset ${name} is bound to ${binding}, and the Worker writes to ${ANALYTICS} alone`,
      `Write binding = "${ANALYTICS}", unless another part of your Worker uses ${binding}.`,
    ),
  )
}

/** The platform's own limits, which a Worker can do without. */
export function checkRateLimits({ env, rateLimits }: Environment): Check[] {
  const table = env === undefined ? '' : `env.${env}.`
  return (['ADDRESS_RATE', 'KEY_RATE'] as const).map((binding) =>
    rateLimits.includes(binding)
      ? ok(AREA, `${binding} is a rate limit of the platform`)
      : warn(
          AREA,
          `no rate limit is bound to ${binding}: isolates alone refuse floods`,
          `Add [[${table}ratelimits]] with name = "${binding}", as at the top level of Verge's wrangler.toml.`,
        ),
  )
}
