import { assetUnavailable } from './engines.ts'

/** Compiles WebAssembly while it is downloaded. @throws store_unavailable */
export async function compiledFrom(url: string): Promise<WebAssembly.Module> {
  try {
    const response = await fetch(url)
    if (!response.ok) throw new Error(`${url} answered ${response.status}`)
    return await WebAssembly.compileStreaming(response)
  } catch (cause) {
    throw assetUnavailable(cause)
  }
}
