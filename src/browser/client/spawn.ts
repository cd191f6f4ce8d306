import { VergeError } from '../../client/error.ts'
import type { WorkerLike } from './worker-link.ts'

/** What a page needs to start a web worker. */
export interface WorkerScope {
  readonly Worker:
    | (new (
        url: string,
        options: { readonly type: 'module'; readonly name: string },
      ) => WorkerLike)
    | undefined
  /** Of the page, as `location.origin` has it. */
  readonly origin: string
  /** The address of a script with this text. */
  scriptAddress(text: string): string
}

/**
 * Starts the web worker. Browsers refuse a worker's script of another origin; a script of a line that imports it is none.
 * @throws engine_unsupported
 */
export function spawnWorker(script: string, scope: WorkerScope): WorkerLike {
  const { Worker } = scope
  if (Worker === undefined) throw refused('This browser has no web workers.')
  const options = { type: 'module', name: 'verge' } as const
  try {
    if (new URL(script).origin === scope.origin) return new Worker(script, options)
    return new Worker(scope.scriptAddress(`import ${JSON.stringify(script)}`), options)
  } catch (cause) {
    throw refused(howToAllow(script), cause)
  }
}

/** @param script address of the worker's script */
export function howToAllow(script: string): string {
  const { origin } = new URL(script)
  return `The browser did not start the web worker. Allow "worker-src blob: ${origin}" and "script-src ${origin} 'wasm-unsafe-eval'" in the Content-Security-Policy of the page, and check that ${script} can be loaded.`
}

function refused(message: string, cause?: unknown): VergeError {
  return new VergeError('engine_unsupported', message, { cause })
}
