import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Where the built client is kept. */
export const CLIENT_MODULE = fileURLToPath(new URL('../../src/http/client/script.ts', import.meta.url))

const ENTRY = fileURLToPath(new URL('../../src/client/page.ts', import.meta.url))

/** The client as one ESM file, minified: what `/client.js` answers. */
export async function buildClient(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [ENTRY],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    write: false,
    logLevel: 'silent',
  })
  const [file] = outputFiles
  if (file === undefined) throw new Error('esbuild wrote no file for the client.')
  return file.text.trim()
}

/** The module of the Worker that holds a script. */
export function clientModule(script: string): string {
  const digest = createHash('sha256').update(script).digest('hex').slice(0, 32)
  return [
    '/** Written by `npm run build:client` from src/client. */',
    `export const CLIENT_SCRIPT = ${JSON.stringify(script)}`,
    '/** From the SHA-256 of the script. */',
    `export const CLIENT_ETAG = '"${digest}"'`,
    '',
  ].join('\n')
}
