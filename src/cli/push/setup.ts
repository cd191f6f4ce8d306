import { AUDIT_PREFIX, HEAD_KEY } from '../../audit/entry.ts'
import { LAST_RELEASE_PREFIX } from '../../catalog/keys.ts'
import type { CatalogWriter } from '../../catalog/writer.ts'
import type { Account } from '../../cloudflare/account.ts'
import { CloudflareApi, DRAFT_BINDING } from '../../cloudflare/api.ts'
import type { HttpClient } from '../../cloudflare/http.ts'
import {
  BUCKET_BINDING,
  type Environment,
  KV_BINDING,
  PLACEHOLDER,
  saveNamespaceId,
} from '../../cloudflare/wrangler-config.ts'
import type { Store } from '../../weights/store.ts'
import type { PackedModel } from '../pack/packer.ts'
import { remoteStores } from '../target/remote.ts'
import { type Administrator, auditLogOf, writerOf } from '../target/target.ts'
import { UsageError } from '../terminal/command-line.ts'
import { counted, binarySize as formatBytes, printable } from '../terminal/format.ts'
import { isLive, notLive, publish } from './publish.ts'
import type { PushResult } from './push.ts'

/** The operator's key: the one secret that there is. */
export const API_KEY = 'VERGE_API_KEY'

export interface SetupContext extends Administrator {
  readonly http: HttpClient
  readonly account: Account
  readonly configPath: string
  readonly environment: Environment & { readonly env: string }
  readonly models: readonly PackedModel[]
  /** The operator's key, if it should be set. */
  readonly apiKey: string | undefined
  /** R2's location hint for a new bucket. */
  readonly location: string | undefined
}

/** One thing that an environment needs. */
export interface SetupStep {
  readonly what: string
  /** Nothing has to be done; said instead of doing it. */
  readonly done?: string
  /** What would be done: a line to agree to. */
  readonly plan?: string
  /**
   * A resource that Verge did not create and that this step would take over. The person must agree to it separately.
   */
  readonly takesOver?: string
  /** Executes the step, and describes the result. */
  apply?(): Promise<string>
}

/**
 * Reads the account without changing it, and lists missing resources. Steps must be applied in order. Each checks for
 * its resource first, so that a second run executes only the remaining steps.
 * @throws UsageError
 */
export async function planSetup(context: SetupContext): Promise<SetupStep[]> {
  const { environment } = context
  if (environment.bucket === undefined || environment.namespaceId === undefined) {
    throw new UsageError(
      `[env.${environment.env}] in wrangler.toml needs an R2 bucket bound to BUCKET and a KV namespace bound to KV. ` +
        'Bindings are not inherited from the top level; copy them from another environment.',
    )
  }
  const api = new CloudflareApi(context.http, context.account)
  const credentials = await api.s3Credentials()
  const stores = (namespaceId: string) => {
    const { http, account } = context
    return remoteStores(http, { account, credentials, bucket: environment.bucket ?? '', namespaceId })
  }
  const namespace = await namespaceStep(api, context, environment.namespaceId, (id) => stores(id).copies)
  const bucket = await bucketStep(api, environment.bucket, context.location, () => stores('').truth)
  const steps = [bucket, namespace.step, await secretStep(api, context)]
  const place: PushPlace = {
    env: environment.env,
    hasBucket: bucket.apply === undefined,
    hasNamespace: namespace.step.apply === undefined,
    writer(withCopies) {
      const { truth, copies } = stores(namespace.id())
      const audit = auditLogOf(truth, context.by)
      return writerOf(truth, withCopies ? copies : [], { audit, signing: context.signing })
    },
  }
  for (const model of context.models) steps.push(await pushStep(model, place))
  return steps
}

async function bucketStep(
  api: CloudflareApi,
  bucket: string,
  location: string | undefined,
  store: () => Store,
): Promise<SetupStep> {
  const what = `R2 bucket ${bucket}`
  if (await api.hasBucket(bucket)) {
    const foreign = await foreignKey(store())
    const aside =
      foreign === undefined ? '' : `; it has objects that Verge did not write, such as ${printable(foreign)}`
    return { what, done: `exists${aside}` }
  }
  const where = location === undefined ? '' : ` near ${location}`
  return {
    what,
    plan: `create it${where}`,
    async apply() {
      await api.createBucket(bucket, location)
      return `created${where}`
    },
  }
}

async function namespaceStep(
  api: CloudflareApi,
  context: SetupContext,
  configured: string,
  copiesIn: (id: string) => readonly Store[],
) {
  const { environment, configPath } = context
  const title = `${environment.worker}-kv`
  const present = await api.namespaces()
  let id = configured
  const step = await (async (): Promise<SetupStep> => {
    if (!PLACEHOLDER.test(configured)) {
      if (present.some((other) => other.id === configured))
        return { what: `KV namespace ${configured}`, done: 'exists' }
      throw new UsageError(
        `The KV namespace ${configured}, which [env.${environment.env}] in wrangler.toml names, is not in this account. ` +
          'Use the account that has it, or write 32 zeros for the id to create a new namespace.',
      )
    }
    const known = present.find((other) => other.title === title)
    const [copies] = known === undefined ? [] : copiesIn(known.id)
    const foreign = copies && (await foreignKey(copies))
    return {
      what: `KV namespace ${title}`,
      ...(foreign !== undefined && {
        takesOver: `the namespace ${title}, which has keys that Verge did not write, such as ${printable(foreign)}`,
      }),
      plan: `${known ? 'use the existing one' : 'create it'}, and write its id into wrangler.toml`,
      async apply() {
        id = known?.id ?? (await api.createNamespace(title))
        await saveNamespaceId(configPath, environment.env, id)
        return `${known ? 'found' : 'created'}; wrote its id ${id} into wrangler.toml`
      },
    }
  })()
  return { step, id: () => id }
}

/** A Worker of Verge has at least one of these, even before its first deployment. */
const OF_VERGE = [BUCKET_BINDING, KV_BINDING, DRAFT_BINDING]

/** What every key that Verge writes begins with. */
const PREFIXES = [
  'alias/',
  LAST_RELEASE_PREFIX,
  AUDIT_PREFIX,
  HEAD_KEY,
  'blob/',
  'deleting/',
  'health/',
  'key/',
  'manifest/',
  'page/',
  'removed/',
  'sign-in/',
  'unreferenced/',
  'usage/',
]

/** A key that Verge has not written; undefined where the first page of them has none. */
async function foreignKey(store: Store): Promise<string | undefined> {
  const { keys } = await store.list('')
  return keys.find((key) => !PREFIXES.some((prefix) => key.startsWith(prefix)))
}

async function secretStep(api: CloudflareApi, { environment, apiKey }: SetupContext): Promise<SetupStep> {
  const { worker } = environment
  const what = `secret ${API_KEY} of ${worker}`
  const present = await api.secrets(worker)
  const bindings = present === null ? null : await api.bindings(worker)
  const foreign = bindings !== null && !OF_VERGE.some((name) => bindings.includes(name))
  const namesake = `the Worker ${worker}, which exists and has neither of the bindings ${BUCKET_BINDING} and ${KV_BINDING}`
  if (present?.includes(API_KEY)) {
    const aside = foreign ? `. Warning: a deployment replaces ${namesake}` : ''
    return { what, done: `is set; "npx wrangler secret put ${API_KEY} --env ${environment.env}" changes it${aside}` }
  }
  if (apiKey === undefined) {
    return {
      what,
      done:
        `is not set, so no caller can use private models. To set it:  export ${API_KEY}="$(openssl rand -base64 33)", ` +
        `store it like a password, and run this command again${foreign ? `. Warning: a deployment replaces ${namesake}` : ''}`,
    }
  }
  return {
    what,
    ...(foreign && { takesOver: `${namesake}: setup sets this secret on it, and the first deployment replaces it` }),
    plan: present === null ? 'create an empty Worker, and set it' : `set it to the value of ${API_KEY} here`,
    async apply() {
      if (present === null) await api.createDraftWorker(worker)
      await api.putSecret(worker, API_KEY, apiKey)
      return present === null ? 'set, on an empty Worker that the first deployment replaces' : 'set'
    },
  }
}

interface PushPlace {
  readonly env: string
  readonly hasBucket: boolean
  readonly hasNamespace: boolean
  writer(withCopies: boolean): CatalogWriter
}

/** The missing parts of a model in the account. A bucket that does not exist yet lacks everything. */
async function pushStep(model: PackedModel, { env, ...place }: PushPlace): Promise<SetupStep> {
  const { manifest, visibility, hot, chunks } = model
  const what = `model ${manifest.model}, version ${manifest.version}`
  const apply = async (): Promise<string> => {
    const result = await publish(place.writer(true), model)
    const { written, generation } = result
    if (written === 0) return `already stored${aside(result, env)}`
    const { pages } = result
    const refused = pages?.refused === undefined ? '' : `; R2 serves pages that KV refused: ${pages.refused}`
    return `${isLive(result) ? 'live, ' : ''}${written} writes (generation ${generation})${refused}${aside(result, env)}`
  }
  if (!place.hasBucket) {
    const bytes = [...chunks.values()].reduce((sum, chunk) => sum + chunk.length, 0)
    return { what, plan: `push ${formatBytes(bytes)} to R2${hot ? ' and KV' : ''}, live and ${visibility}`, apply }
  }
  const seen = await publish(place.writer(place.hasNamespace), model, { dryRun: true })
  const send = seen.sent === 0 ? [] : [`push ${formatBytes(seen.bytesSent)} of missing data`]
  const cool = seen.removed === 0 ? [] : ['delete from KV the weights that are no longer hot']
  const pages = seen.pages?.copied ? [`copy ${counted(seen.pages.copied, 'page')} to KV`] : []
  const show = seen.moves ? [isLive(seen) ? `make it live, ${seen.visibility}` : 'add the version'] : []
  const copy = place.hasNamespace && !seen.outdated ? [] : ['update the copies in KV']
  const work = [...send, ...pages, ...cool, ...show]
  const plan = work.length > 0 ? work : copy
  if (plan.length === 0) return { what, done: `exists${aside(seen, env)}` }
  return { what, plan: `${plan.join('; ')}${aside(seen, env)}`, apply }
}

function aside(result: PushResult, env: string): string {
  const text = notLive(result, ` --env ${env}`)
  return text === '' ? '' : `; ${text}`
}
