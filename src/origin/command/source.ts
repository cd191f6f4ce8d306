import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { importKey } from '../../access/signature.ts'
import { UsageError } from '../../cli/terminal/command-line.ts'
import { HttpClient } from '../../cloudflare/http.ts'
import { S3Bucket } from '../../cloudflare/s3-bucket.ts'
import { isLoopback } from '../../core/loopback.ts'
import { systemClock } from '../../core/runtime.ts'
import { R2Store } from '../../weights/r2.ts'
import type { Store } from '../../weights/store.ts'
import { WorkerStore } from '../../weights/worker.ts'
import { FolderStore } from '../folder-store.ts'
import { ownedDirName, removeStaleDirs } from '../stale-dirs.ts'
import { workerSigner } from '../worker-signer.ts'

export interface SourceOptions {
  /** `https://worker`, `s3://bucket`, or a folder of model folders. */
  readonly from: string
  /** Signs requests to a Worker. */
  readonly key: string
  /** Where packed models may lie. */
  readonly cacheFolder: string
  /** Holds the credentials for R2. */
  readonly environment: NodeJS.ProcessEnv
  readonly progress: (line: string) => void
}

export interface OriginSource {
  readonly store: Store
  /** Tells the Worker that this origin is ready; absent for other sources. */
  announce?(): Promise<void>
  dispose(): Promise<void>
}

/** A request waits for these; the catalogue's last good copy answers instead. */
const ATTEMPTS = 2

/** Opens what `--from` names. @throws UsageError that names missing settings */
export async function openSource(options: SourceOptions): Promise<OriginSource> {
  const { from } = options
  if (/^https?:\/\//i.test(from)) {
    const store = await ofWorker(from, options.key)
    return { store, announce: () => store.announce(), async dispose() {} }
  }
  if (/^s3:\/\//i.test(from)) return { store: ofBucket(from.slice(5), options.environment), async dispose() {} }
  return ofFolder(resolve(from), options)
}

async function ofWorker(from: string, secret: string): Promise<WorkerStore> {
  const url = URL.canParse(from) ? new URL(from) : undefined
  if (url === undefined || url.username !== '' || url.search !== '') {
    throw new UsageError(`--from: "${from}" is not the address of a Worker, such as https://verge.example.com.`)
  }
  if (url.protocol !== 'https:' && !isLoopback(url.hostname)) {
    throw new UsageError('--from: a Worker on another machine needs an https:// address.')
  }
  const signer = workerSigner(await importKey(secret), systemClock)
  return new WorkerStore({ url, signer, clock: systemClock, fetch: (address, init) => fetch(address, init) })
}

function ofBucket(bucket: string, environment: NodeJS.ProcessEnv): Store {
  if (!/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw new UsageError('--from: s3:// needs the name of an R2 bucket: 3 to 63 lower-case letters, digits and "-".')
  }
  const {
    CLOUDFLARE_ACCOUNT_ID: account = '',
    R2_ACCESS_KEY_ID: id = '',
    R2_SECRET_ACCESS_KEY: secret = '',
  } = environment
  // An empty variable counts as unset, as templates leave it.
  const endpoint = environment.R2_ENDPOINT || (account && `https://${account}.r2.cloudflarestorage.com`)
  const missing = [
    ...(endpoint === '' ? ['R2_ENDPOINT or CLOUDFLARE_ACCOUNT_ID'] : []),
    ...(id === '' ? ['R2_ACCESS_KEY_ID'] : []),
    ...(secret === '' ? ['R2_SECRET_ACCESS_KEY'] : []),
  ]
  if (missing.length > 0) {
    throw new UsageError(
      `--from s3://${bucket} needs these environment variables: ${missing.join(', ')}.\n` +
        'Create an R2 API token with the permission "Object Read only" on this bucket; docs/origin/run.md shows how.',
    )
  }
  if (!/^[\x21-\x7e]+$/.test(id))
    throw new UsageError('R2_ACCESS_KEY_ID contains a character that is not allowed. Copy the key again.')
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url === undefined || (url.protocol !== 'https:' && !isLoopback(url.hostname))) {
    throw new UsageError('R2_ENDPOINT must be an https:// address, because credentials are sent to it.')
  }
  const credentials = { accessKeyId: id, secretAccessKey: secret, region: 'auto' }
  return new R2Store(new S3Bucket({ http: new HttpClient({ attempts: ATTEMPTS }), endpoint: url, bucket, credentials }))
}

/** Packs the models as `npm start` does, into a store of this process alone. */
async function ofFolder(folder: string, { cacheFolder, progress }: SourceOptions): Promise<OriginSource> {
  if (!existsSync(folder)) {
    throw new UsageError(`--from: the folder ${folder} does not exist. Addresses begin with https:// or s3://.`)
  }
  // The packer brings the edge's engine along, which only this source needs.
  const [{ packFolder }, { modelFolders }, { publish }, { writerOf }] = await Promise.all([
    import('../../cli/pack/packer.ts'),
    import('../../cli/files/project.ts'),
    import('../../cli/push/publish.ts'),
    import('../../cli/target/target.ts'),
  ])
  const folders = existsSync(join(folder, 'verge.json')) ? [folder] : await modelFolders(folder)
  await mkdir(cacheFolder, { recursive: true })
  await removeStaleDirs(cacheFolder, 'packed')
  const packed = join(cacheFolder, ownedDirName('packed', randomBytes(4).toString('hex')))
  await mkdir(packed)
  const dispose = () => rm(packed, { recursive: true, force: true })
  try {
    const store = new FolderStore(packed)
    const writer = writerOf(store, [])
    for (const each of folders) {
      const model = await packFolder(each)
      await publish(writer, model)
      progress(`${model.manifest.model} ${model.manifest.version} is packed`)
    }
    return { store, dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}
