/**
 * Standard names that shared code uses and `@types/node` lacks or has as values alone. For programs on Node:
 * `@cloudflare/workers-types` has them all. DOM's library has them too, and with them the whole browser.
 */

type CryptoKey = import('node:crypto').webcrypto.CryptoKey
type ReadableStreamReadResult<T> = import('node:stream/web').ReadableStreamReadResult<T>
type TextDecoder = import('node:util').TextDecoder

/** As much of WebAssembly's JavaScript interface (w3.org/TR/wasm-js-api-2) as Verge uses. */
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer | SharedArrayBuffer
    /** By pages of 64 KiB. @returns the pages before */
    grow(pages: number): number
  }
  const Memory: {
    prototype: Memory
    new (descriptor: { initial: number; maximum?: number; shared?: boolean }): Memory
  }
  const Module: {
    prototype: Module
    new (bytes: BufferSource): Module
    imports(module: Module): { module: string; name: string; kind: string }[]
  }
  interface Instance {
    readonly exports: Record<string, unknown>
  }
  let Instance: {
    prototype: Instance
    new (module: Module, imports?: Imports): Instance
  }
  type Imports = Record<string, Record<string, unknown>>
  class RuntimeError extends Error {}
  function compile(bytes: BufferSource): Promise<Module>
}

/** Of workerd's alone. An origin has no streams, so that none of it is ever there. */
interface Response {
  readonly webSocket?: WebSocket | null | undefined
}

interface ResponseInit {
  webSocket?: WebSocket | null | undefined
}
