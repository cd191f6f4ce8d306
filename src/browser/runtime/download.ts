import { VergeError } from '../../core/errors.ts'
import { assetUnavailable } from './engines.ts'

/** A file of the build. @throws store_unavailable */
export async function downloaded(url: string): Promise<Response> {
  try {
    const response = await fetch(url)
    if (!response.ok) throw new Error(`${url} answered ${response.status}`)
    return response
  } catch (cause) {
    throw assetUnavailable(cause)
  }
}

/** Compiles WebAssembly while it is downloaded. @throws store_unavailable */
export async function compiledFrom(url: string): Promise<WebAssembly.Module> {
  const response = await downloaded(url)
  try {
    return await WebAssembly.compileStreaming(response)
  } catch (cause) {
    if (!(cause instanceof WebAssembly.CompileError)) throw assetUnavailable(cause)
    throw new VergeError(
      'engine_unsupported',
      'This browser cannot run the engine: its WebAssembly lacks SIMD. Update the browser, or send the request to the Worker.',
      { cause },
    )
  }
}
