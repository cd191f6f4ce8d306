import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import * as z from 'zod'
import { guardWorkerd } from '../../src/cli/local/guard/guard.ts'
import { compatibilityDate, modulesIn } from '../../src/cli/local/workerd.ts'
import type { OuterStores } from './outer-stores.ts'

/** A workerd with one Worker and nothing else: no Miniflare, and no stores. */
export interface BareWorker {
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

/** What workerd writes to its control channel when a socket listens. */
const listening = z.object({ event: z.literal('listen'), socket: z.string(), port: z.number() })

/**
 * @param directory a bundle
 * @param inert its modules are bytes, neither compiled nor evaluated: what the start of a process with as many costs
 */
export async function startBareWorker(
  directory: string,
  stores: OuterStores,
  { inert = false }: { readonly inert?: boolean } = {},
): Promise<BareWorker> {
  guardWorkerd()
  const command = process.env.MINIFLARE_WORKERD_PATH
  if (command === undefined) throw new Error('no workerd was found')
  const folder = await mkdtemp(join(tmpdir(), 'verge-bare-'))
  const file = join(folder, 'config.capnp')
  await writeFile(file, configOf(directory, stores, inert))
  const child = spawn(command, ['serve', '--control-fd=3', '--import-path=/', file], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const port = await Promise.race([
      portOf(child.stdio[3] as Readable),
      once(child, 'exit').then(([code]): never => {
        throw new Error(`workerd ended with ${code} before it listened`)
      }),
    ])
    if (child.pid === undefined) throw new Error('workerd has no process')
    return { url: `http://127.0.0.1:${port}`, pid: child.pid, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function portOf(control: Readable): Promise<number> {
  let text = ''
  for await (const piece of control) {
    text += String(piece)
    for (const line of text.split('\n').slice(0, -1)) {
      const message = listening.safeParse(JSON.parse(line))
      if (message.success) return message.data.port
    }
  }
  throw new Error('workerd does not listen')
}

/** As the bench's other Workers are told: no result cache, no log. */
const VARIABLES = { CORS_ALLOW: '*', RESULT_CACHE_TTL_SECONDS: '0', LOG_SAMPLE_RATE: '0' }
const INERT = "export default { fetch: () => new Response('inert') }"

function configOf(directory: string, stores: OuterStores, inert: boolean): string {
  const quoted = (text: string): string => JSON.stringify(text)
  const { kv, r2 } = stores.addresses
  const kinds = { ESModule: 'esModule', CompiledWasm: 'wasm' } as const
  const modules = modulesIn(directory).map(({ path, type }) => {
    const name = path.slice(directory.length + 1)
    return `(name = ${quoted(name)}, ${inert ? 'data' : kinds[type]} = embed ${quoted(path)})`
  })
  if (inert) modules.unshift(`(name = "inert.js", esModule = ${quoted(INERT)})`)
  const variables = Object.entries(VARIABLES).map(([name, text]) => `(name = ${quoted(name)}, text = ${quoted(text)})`)
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "kv", external = (address = ${quoted(kv)}, http = ())),
    (name = "r2", external = (address = ${quoted(r2)}, http = ())),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "worker")],
);
const worker :Workerd.Worker = (
  modules = [${modules.join(', ')}],
  compatibilityDate = ${quoted(compatibilityDate())},
  compatibilityFlags = ["enable_request_signal"],
  bindings = [
    (name = "KV", kvNamespace = "kv"),
    (name = "BUCKET", r2Bucket = "r2"),
    ${variables.join(', ')},
  ],
);
`
}
