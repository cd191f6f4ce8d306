/** `test/<folder>/<name>.<runtime>.test.ts`. */
const UNIT_TEST = /^test\/(?:(.+)\/)?([^/]+)\.(?:worker|node)\.test\.ts$/

/** Tests that belong to no module: of whole programs, and suites that several implementations pass. */
const ELSEWHERE = /^test\/(?:e2e|contract|fixtures)\//

/** The folders beside `src/` that tests mirror. What they hold is not made of modules alone, so any name will do there. */
const BESIDE = /^(?:scripts|bench|deploy|docs|page)(?:\/|$)/

/**
 * Which tests are where no reader would look for them, a line each. The tests of `src/a/b.ts` are
 * `test/a/b[-<aspect>].<runtime>.test.ts`; those of all of `src/a/` begin with `a`.
 * @param paths of all files in the repository that may be tested or be tests, with forward slashes
 */
export function misplacedTests(paths: readonly string[]): string[] {
  const namesIn = childrenOf(paths)
  const wrong: string[] = []
  for (const path of paths) {
    if (!path.endsWith('.test.ts') || ELSEWHERE.test(path)) continue
    const [, folder = '', name = ''] = UNIT_TEST.exec(path) ?? []
    if (name === '') {
      wrong.push(`${path}: its ending must say where it runs: .worker.test.ts or .node.test.ts`)
      continue
    }
    if (BESIDE.test(folder)) {
      if (!namesIn.has(folder)) wrong.push(`${path}: there is no folder ${folder}/`)
      continue
    }
    const source = folder === '' ? 'src' : `src/${folder}`
    const names = namesIn.get(source)
    if (!names) wrong.push(`${path}: there is no folder ${source}/; move the test to where its module is`)
    else if (![...names, lastOf(folder)].some((one) => name === one || name.startsWith(`${one}-`))) {
      wrong.push(
        `${path}: its name must begin with that of a module or folder in ${source}/, or with "${lastOf(folder)}"`,
      )
    }
  }
  return wrong
}

/** The names of modules (without their ending) and folders in each folder. */
function childrenOf(paths: readonly string[]): Map<string, Set<string>> {
  const children = new Map<string, Set<string>>()
  for (const path of paths) {
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = parts.slice(0, depth).join('/')
      const names = children.get(folder) ?? new Set()
      names.add((parts[depth] ?? '').replace(/\.[a-z]+$/, ''))
      children.set(folder, names)
    }
  }
  return children
}

const lastOf = (folder: string): string => folder.slice(folder.lastIndexOf('/') + 1)
