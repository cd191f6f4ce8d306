import type { Caller } from '../access/authorize.ts'
import { type AppDeps, createApp } from '../app.ts'
import type { Config } from '../config/config.ts'
import { type RpcDeps, RpcService } from '../rpc/service.ts'
import { WorkersAiService } from '../rpc/workers-ai.ts'

/** What other Workers call. */
export interface Services {
  readonly rpc: RpcService
  readonly workersAi: WorkersAiService
}

/** The calls of other Workers: over an HTTP side of their own, which knows its callers and has no way in from outside. */
export function servicesOf(shared: AppDeps, { rpcCallers }: Config): Services {
  const deps: AppDeps = {
    ...shared,
    knownCaller: (bindings) => (bindings as { readonly caller: Caller }).caller,
  }
  let app: ReturnType<typeof createApp> | undefined
  const rpcDeps: RpcDeps = {
    ...deps,
    callers: rpcCallers,
    ask: async (request, caller, { waitUntil }) => {
      app ??= createApp(deps)
      const context = { waitUntil, passThroughOnException() {}, props: undefined }
      return app.fetch(request, { caller }, context)
    },
  }
  return { rpc: new RpcService(rpcDeps), workersAi: new WorkersAiService(rpcDeps) }
}
