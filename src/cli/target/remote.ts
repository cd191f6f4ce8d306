import { type Account, readAccount } from '../../cloudflare/account.ts'
import { CloudflareApi } from '../../cloudflare/api.ts'
import { HttpClient, type HttpOptions } from '../../cloudflare/http.ts'
import { RestKvNamespace } from '../../cloudflare/kv-namespace.ts'
import { S3Bucket } from '../../cloudflare/s3-bucket.ts'
import type { S3Credentials } from '../../cloudflare/s3-signing.ts'
import { type Environment, PLACEHOLDER, readEnvironment } from '../../cloudflare/wrangler-config.ts'
import { asked } from '../../weights/body.ts'
import { KvStore } from '../../weights/kv.ts'
import { R2Store } from '../../weights/r2.ts'
import type { ManyTexts, Store } from '../../weights/store.ts'
import { UsageError } from '../terminal/command-line.ts'
import { withNotedSizes } from './noted-sizes.ts'
import { type Administrator, auditLogOf, type Target, writerOf } from './target.ts'

export interface RemoteOptions extends Administrator {
  /** The environment of wrangler.toml. */
  readonly env: string
  readonly configPath: string
  /** Holds the credentials. */
  readonly environment: NodeJS.ProcessEnv
  /** Cancels requests to the stores, except for writes that the writer has started. */
  readonly signal?: AbortSignal
  readonly http?: HttpOptions
}

export interface RemoteStores {
  readonly account: Account
  readonly credentials: S3Credentials
  readonly bucket: string
  readonly namespaceId: string
}

/**
 * An environment's R2 bucket, by its S3 API, and KV namespace, by Cloudflare's REST API.
 * @throws UsageError that names missing settings
 */
export async function openRemote(options: RemoteOptions): Promise<Target> {
  const { configPath, env, environment, signal, by, signing } = options
  const account = readAccount(environment)
  const { worker, bucket, namespaceId } = withStores(await readEnvironment(configPath, env), env)
  const steady = new HttpClient(options.http)
  const credentials = r2Keys(environment) ?? (await new CloudflareApi(steady, account).s3Credentials())
  const stores = { account, credentials, bucket, namespaceId }
  const interruptible = signal === undefined ? steady : new HttpClient({ ...options.http, signal })
  const { truth, copies } = remoteStores(interruptible, stores)
  const ofWriter = remoteStores(steady, stores)
  const audit = auditLogOf(ofWriter.truth, by)
  return {
    kind: 'remote',
    label: `${worker} (R2 bucket ${bucket}, KV namespace ${namespaceId})`,
    truth,
    copies,
    writer: writerOf(ofWriter.truth, ofWriter.copies, { audit, signing }),
    audit,
    async dispose() {},
  }
}

/** Stores over Cloudflare's APIs. */
export function remoteStores(
  http: HttpClient,
  { account, credentials, bucket, namespaceId }: RemoteStores,
): { readonly truth: Store; readonly copies: readonly Store[] } {
  const truth = new R2Store(new S3Bucket({ http, endpoint: account.r2, bucket, credentials }))
  const namespace = new RestKvNamespace(new CloudflareApi(http, account), namespaceId)
  const kv = new KvStore(namespace)
  const many: ManyTexts = {
    put: (texts, { signal } = {}) => asked(kv.name, () => namespace.putMany(texts), signal),
    delete: (keys, { signal } = {}) => asked(kv.name, () => namespace.deleteMany(keys), signal),
  }
  return { truth, copies: [withNotedSizes(kv, (key) => namespace.notedBytes(key), many)] }
}

/** Keys made for R2's S3 API; undefined if the environment has none, and they are to be derived from the API token. */
function r2Keys(environment: NodeJS.ProcessEnv): S3Credentials | undefined {
  const accessKeyId = environment.R2_ACCESS_KEY_ID ?? ''
  const secretAccessKey = environment.R2_SECRET_ACCESS_KEY ?? ''
  if (accessKeyId === '' && secretAccessKey === '') return undefined
  if (accessKeyId === '' || secretAccessKey === '') {
    throw new UsageError(
      'R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY must both be set. To use CLOUDFLARE_API_TOKEN instead, unset both.',
    )
  }
  // It travels in a header.
  if (!/^[\x21-\x7e]+$/.test(accessKeyId))
    throw new UsageError('R2_ACCESS_KEY_ID contains a character that is not allowed. Copy the key again.')
  return { accessKeyId, secretAccessKey, region: 'auto' }
}

function withStores(environment: Environment, env: string) {
  const { worker, bucket, namespaceId } = environment
  if (bucket === undefined || namespaceId === undefined) {
    throw new UsageError(
      `[env.${env}] in wrangler.toml needs an R2 bucket bound to BUCKET and a KV namespace bound to KV. Bindings are not ` +
        'inherited from the top level; copy them from another environment.',
    )
  }
  if (PLACEHOLDER.test(namespaceId)) {
    throw new UsageError(
      `[env.${env}] in wrangler.toml has no KV namespace yet. Create the resources first:\n\n` +
        `  npx verge setup --env ${env}\n`,
    )
  }
  return { worker, bucket, namespaceId }
}
