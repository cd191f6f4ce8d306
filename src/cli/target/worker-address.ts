import { resolve } from 'node:path'
import { readAccount } from '../../cloudflare/account.ts'
import { CloudflareApi } from '../../cloudflare/api.ts'
import { HttpClient } from '../../cloudflare/http.ts'
import { readEnvironment } from '../../cloudflare/wrangler-config.ts'
import { STATE } from '../files/project.ts'
import { workerReading } from '../local/running-worker.ts'
import { UsageError } from '../terminal/command-line.ts'
import type { Options } from '../terminal/options.ts'
import { configPathOf } from './arguments.ts'

/** What every command that asks a running Worker takes. */
export const ADDRESS_OPTIONS = {
  url: { type: 'string', value: 'URL', help: 'address of the Worker (default: the one that runs on this machine)' },
  env: {
    type: 'string',
    value: 'NAME',
    help: 'environment of wrangler.toml instead: its custom domain, or its workers.dev address',
  },
  'persist-to': { type: 'string', value: 'DIR', help: 'local storage of the Worker on this machine' },
  config: { type: 'string', value: 'FILE', help: 'default: wrangler.toml' },
} as const satisfies Options

export interface AddressArguments {
  readonly url?: string | undefined
  readonly env?: string | undefined
  readonly 'persist-to'?: string | undefined
  readonly config?: string | undefined
}

/** Where `npm start` and `wrangler dev` listen, if they are not told otherwise, and read what lies where they put it. */
const LOCAL_URL = 'http://127.0.0.1:8787'

/**
 * The address of the Worker that is meant.
 * @throws UsageError for arguments that contradict each other, and where the account does not say
 */
export async function workerAddress({ config, env, 'persist-to': persistTo, url }: AddressArguments): Promise<string> {
  if ([url, env, persistTo].filter((each) => each !== undefined).length > 1) {
    throw new UsageError('Use one of --url, --env and --persist-to.')
  }
  if (url !== undefined) return url
  if (env === undefined) {
    const local = await localWorker(persistTo)
    if (local !== undefined) return local
    throw new UsageError(
      `No Worker that runs on this machine reads ${persistTo}. Start one: npm start -- --persist-to DIR`,
    )
  }
  const { domain, worker } = await readEnvironment(configPathOf(config), env)
  if (domain !== undefined) return `https://${domain}`
  const subdomain = await new CloudflareApi(new HttpClient(), readAccount(process.env)).subdomain()
  return `https://${worker}.${subdomain}.workers.dev`
}

/** The Worker on this machine that reads local storage; undefined if none does. */
export async function localWorker(persistTo: string | undefined): Promise<string | undefined> {
  const noted = await workerReading(persistTo === undefined ? STATE : resolve(persistTo))
  return noted ?? (persistTo === undefined ? LOCAL_URL : undefined)
}
