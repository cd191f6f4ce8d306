// A part of the program of `tsconfig.browser.json`, which compiles only while each of these names is unknown in it.
// A type of another runtime that leaks into the web worker's program makes its line an error: "Unused '@ts-expect-error'".

// @ts-expect-error A page's documents: a web worker has none.
export type Page = Document
// @ts-expect-error Of a page too.
export type Global = typeof window
// @ts-expect-error A binding of a Worker on Cloudflare.
export type Bucket = R2Bucket
// @ts-expect-error Workers' own.
export type State = DurableObjectState
// @ts-expect-error Node's namespace.
export type Variables = NodeJS.ProcessEnv
// @ts-expect-error Node's bytes.
export type Bytes = Buffer
// @ts-expect-error Node's modules.
export type Files = typeof import('node:fs')
// @ts-expect-error What tests see.
export type Tests = typeof import('cloudflare:test')

export type Known = [DedicatedWorkerGlobalScope, FileSystemSyncAccessHandle, GPUDevice]
