import { importsOf } from './module-imports.ts'
import { IN_NODE, IN_WORKERS, type Room, TABLE } from './rooms.ts'

/**
 * Values that one module exports and few may import, by the beginning of their path. An isolate and an origin have limits
 * of their own: the constant belongs to where a program is put together, and everything else is passed its limits.
 */
const RESERVED = [
  {
    target: 'src/core/limits.ts',
    name: 'LIMITS',
    // A browser's are an isolate's but for its memory. The command line and the page tell what a Worker admits, and always mean
    // an isolate's.
    importers: [
      'src/worker.ts',
      'src/origin/limits.ts',
      'src/browser/runtime/limits.ts',
      'src/config/',
      'src/cli/',
      'scripts/',
      'bench/',
      'page/media/limits.ts',
      'synthetic/',
      'test/',
    ],
    instead: 'take "limits" as an option',
  },
] as const

function roomOf(path: string): string | undefined {
  if (path.startsWith('test/') && path.endsWith('.worker.test.ts')) return IN_WORKERS
  if (path.startsWith('test/') && path.endsWith('.node.test.ts')) return IN_NODE
  return Object.keys(TABLE)
    .filter((room) => path === room || path.startsWith(`${room}/`))
    .sort((left, right) => right.length - left.length)[0]
}

/** Whether a room may import from another, directly or through others, and not the reverse. */
export function isAbove(higher: string, lower: string): boolean {
  return reach(higher).has(lower) && !reach(lower).has(higher)
}

/** All rooms that a room may import from, directly or through others. */
function reach(room: string): ReadonlySet<string> {
  const found = new Set<string>()
  const open = [room]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const other of TABLE[next]?.rooms ?? []) {
      if (found.has(other)) continue
      found.add(other)
      open.push(other)
    }
  }
  return found
}

/**
 * What is wrong with a module's imports, a line each.
 * @param path of the module in the repository, with forward slashes
 */
export function violations(path: string, source: string): string[] {
  const room = roomOf(path)
  if (room === undefined) return [`${path}: its room is not in the table; add it to scripts/checks/rooms.ts`]
  const { rooms, packages, types = [] } = TABLE[room] as Room
  const found: string[] = []
  for (const { byValue, names, specifier, target } of importsOf(path, source)) {
    if (target === undefined) {
      if (!packages.some((name) => allows(name, specifier))) {
        found.push(`${path}: "${room}" may not import the package "${specifier}"`)
      }
      continue
    }
    for (const reserved of RESERVED) {
      if (reserved.target !== target || reserved.importers.some((importer) => path.startsWith(importer))) continue
      if (!names.includes(reserved.name) && !names.includes('*')) continue
      found.push(`${path}: may not import "${reserved.name}" ("${specifier}"); ${reserved.instead}`)
    }
    const other = roomOf(target)
    if (other === undefined) found.push(`${path}: imports "${specifier}", which is in no room`)
    else if (!byValue && types.some((name) => allows(name, other, true))) continue
    else if (other !== room && !rooms.some((name) => allows(name, other, true))) {
      found.push(`${path}: "${room}" may not import from "${other}" ("${specifier}")`)
    }
  }
  return found
}

function allows(name: string, imported: string, exactly = false): boolean {
  if (name.endsWith('*')) return imported.startsWith(name.slice(0, -1))
  return imported === name || (!exactly && imported.startsWith(`${name}/`))
}
