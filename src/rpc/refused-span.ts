import type { RequestTracer } from '../core/tracing.ts'
import type { RpcCall } from './service.ts'

/** A call that was refused before it had a span, such as for its token or its options. */
export interface RefusedCall {
  /** As spans name it: `VergeRpc/run`. */
  readonly name: string
  /** By the tracer's clock; undefined where no traces are recorded. */
  readonly at: number | undefined
  readonly code: string
  readonly status: number
}

/** Records it, if it is drawn. */
export async function recordRefused(
  tracer: RequestTracer | undefined,
  call: RpcCall,
  { at, code, name, status }: RefusedCall,
): Promise<void> {
  const [service, method] = name.split('/')
  const attributes = { 'rpc.service': service, 'rpc.method': method }
  const waitUntil = (work: Promise<unknown>) => call.waitUntil(work)
  await tracer?.request(
    { name, attributes, at: at ?? tracer.now(), trusted: false, refused: true, waitUntil },
    async (span) => span?.failed(code, status >= 500),
  )
}
