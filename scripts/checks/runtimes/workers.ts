// A part of the program of `tsconfig.json`, which compiles only while each of these names is unknown in it.
// A type of another runtime that leaks into the Worker's program makes its line an error: "Unused '@ts-expect-error'".

// @ts-expect-error A browser's documents.
export type Page = Document
// @ts-expect-error Of DOM's library too, and in no worker.
export type Picture = HTMLImageElement
// @ts-expect-error Only a browser has one.
export type Global = typeof window
// @ts-expect-error Node's namespace.
export type Variables = NodeJS.ProcessEnv
// @ts-expect-error Node's bytes.
export type Bytes = Buffer
// @ts-expect-error Node's globals.
export type Folder = typeof __dirname
// @ts-expect-error Node's modules.
export type Files = typeof import('node:fs')
// @ts-expect-error What tests see.
export type Tests = typeof import('cloudflare:test')

export type Known = [R2Bucket, KVNamespace, DurableObjectState, ExecutionContext]
