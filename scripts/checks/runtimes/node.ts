// A part of the program of `tsconfig.node.json`, which compiles only while each of these names is unknown in it.
// A type of another runtime that leaks into the program makes its line an error: "Unused '@ts-expect-error'".

// @ts-expect-error A browser's documents.
export type Page = Document
// @ts-expect-error Of DOM's library too.
export type Picture = HTMLImageElement
// @ts-expect-error Only a browser has one.
export type Global = typeof window
// @ts-expect-error A binding of a Worker.
export type Bucket = R2Bucket
// @ts-expect-error A binding of a Worker.
export type Namespace = KVNamespace
// @ts-expect-error Workers' own.
export type State = DurableObjectState
// @ts-expect-error Workers' own.
export type Pair = WebSocketPair
// @ts-expect-error Workers' modules.
export type Workers = typeof import('cloudflare:workers')
// @ts-expect-error What tests in workerd see.
export type Tests = typeof import('cloudflare:test')

export type Known = [NodeJS.ProcessEnv, Buffer, typeof import('node:fs')]
