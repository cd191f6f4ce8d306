import { parseSync, Visitor } from 'oxc-parser'

/** One import of a module, or what it exports again from another. */
export interface Import {
  readonly specifier: string
  /** The path in the repository that a relative specifier leads to; undefined for a package. */
  readonly target: string | undefined
  /** Whether the other module is evaluated before this one: neither for types only, nor an `import()` for later. */
  readonly byValue: boolean
  /** What is taken by name, as the other module calls it; `*` for all of it. */
  readonly names: readonly string[]
}

/**
 * What a module imports, types included.
 * @param path of the module in the repository, with forward slashes
 * @throws SyntaxError if the source cannot be parsed
 */
export function importsOf(path: string, source: string): Import[] {
  const { module, program, errors } = parseSync(path, source)
  const [error] = errors
  if (error !== undefined) throw new SyntaxError(`${path}: ${error.message}`)
  const found: Import[] = []
  const add = (specifier: string, byValue: boolean, names: readonly string[]) =>
    found.push({ specifier, target: targetOf(path, specifier), byValue, names })

  for (const { start, end, moduleRequest, entries } of module.staticImports) {
    // `import { type X }` stays an import of the module under "verbatimModuleSyntax"; `import type` does not.
    const names = entries.map(({ importName: { kind, name } }) => (kind === 'Name' ? (name ?? '*') : '*'))
    add(moduleRequest.value, !/^import\s+type\s+[\w{*]/.test(source.slice(start, end)), names)
  }
  for (const { start, end, entries } of module.staticExports) {
    const from = entries.find((entry) => entry.moduleRequest !== null)?.moduleRequest
    const names = entries.map(({ importName: { kind, name } }) => (kind === 'Name' ? (name ?? '*') : '*'))
    if (from) add(from.value, !/^export\s+type\s+[{*]/.test(source.slice(start, end)), names)
  }
  for (const { moduleRequest } of module.dynamicImports) {
    // What is computed at run time is no literal, and leads to no module that could be known here.
    const literal = /^(['"])(.*)\1$/.exec(source.slice(moduleRequest.start, moduleRequest.end))
    if (literal) add(literal[2] as string, false, ['*'])
  }
  // `import('...').Name` as a type is not in the module's record.
  if (/\bimport\(/.test(source)) {
    new Visitor({ TSImportType: ({ source }) => add(source.value, false, []) }).visit(program)
  }
  return found
}

function targetOf(path: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  return decodeURIComponent(new URL(specifier, `file:///${path}`).pathname.slice(1))
}
