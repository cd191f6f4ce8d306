/** The text of what `verge init` writes. Pure. */

import { withoutTables } from '../files/toml-tables.ts'

/** Names and versions of packages. */
type Versions = Readonly<Record<string, string>>

export interface PackageFileOptions {
  readonly name: string
  /** Where npm finds Verge: a version, or a tarball. */
  readonly verge: string
  /** Versions that this release of Verge is tested with. */
  readonly tested: Versions
  /** Install scripts that npm may run, or not, by package. */
  readonly allowScripts: Readonly<Record<string, boolean>>
}

/** Packages beside Verge: wrangler is the application's own, and Node 24 is there for machines with an older one. */
const BESIDE = ['node', 'wrangler']

export function packageFile({ name, verge, tested, allowScripts }: PackageFileOptions): string {
  const beside = BESIDE.map((each): [string, string] => {
    const version = tested[each]
    if (version === undefined) throw new Error(`package.json names no version of ${each}`)
    return [each, version]
  })
  const content = {
    name,
    private: true,
    type: 'module',
    scripts: { start: 'verge start', deploy: 'wrangler deploy --env production' },
    allowScripts,
    dependencies: { verge },
    devDependencies: Object.fromEntries(beside),
  }
  return `${JSON.stringify(content, null, 2)}\n`
}

/** For npm 10, which does not read "allowScripts": CUDA libraries are not downloaded. */
export const NPM_SETTINGS = 'loglevel=error\nonnxruntime-node-install=skip\n'

export const IGNORED = [
  'node_modules',
  '.wrangler/',
  '.verge/',
  '.dev.vars',
  '.dev.vars.*',
  '!.dev.vars.example',
  '',
].join('\n')

export const ENTRY = `import worker from 'verge/worker'

// The Durable Object and the RPC entrypoint that wrangler.toml names, and those of later releases.
export * from 'verge/worker'

export default {
  ...worker,
  async fetch(request, env, context) {
    // Routes of your own come first. Verge answers all others.
    if (new URL(request.url).pathname === '/hello') return new Response('Hello from a route of your own.\\n')
    return worker.fetch(request, env, context)
  },
} satisfies typeof worker
`

/** `npx wrangler types` writes worker-configuration.d.ts, the types of the Workers runtime and of the bindings. */
export const TYPESCRIPT_SETTINGS = `${JSON.stringify(
  {
    compilerOptions: {
      target: 'ES2024',
      // Float16Array has a library of its own, whose name depends on the compiler's release.
      lib: ['ESNext'],
      module: 'ESNext',
      moduleResolution: 'Bundler',
      types: ['./worker-configuration.d.ts'],
      strict: true,
      skipLibCheck: true,
      noEmit: true,
    },
    include: ['src', 'worker-configuration.d.ts'],
  },
  null,
  2,
)}\n`

/** The application's entry, where Verge's own is: wrangler.toml names it. */
export const ENTRY_PATH = 'src/worker.ts'

/**
 * The application's wrangler.toml: Verge's own, by the application's names. The package has the page as files.
 * @param own Verge's, which has every binding and the date that this release is tested with
 */
export function wranglerFile(own: string, name: string): string {
  return packaged(withoutTables(own, ['build']))
    .replace(/^directory = .*$/m, 'directory = "node_modules/verge/dist/assets"')
    .replace(/^name = "verge\b/gm, `name = "${name}`)
    .replace(/^bucket_name = "verge\b/gm, `bucket_name = "${name}`)
}

/** A file of the repository for an application, which has the documents and commands of the package. */
export function packaged(text: string): string {
  return text.replaceAll('npm run origin', 'npx verge origin').replace(/(?<![\w/])docs\//g, 'node_modules/verge/docs/')
}
