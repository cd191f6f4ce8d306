import { parseSync, Visitor } from 'oxc-parser'

/**
 * Time, timers and randomness are passed in (`core/runtime.ts`), so that tests can stop the clock and repeat what was
 * drawn. These may take them from the runtime: where a program is put together, and what runs on a person's machine.
 */
const ENTRIES = [
  'src/worker.ts',
  'src/core/runtime.ts',
  'src/client/runtime.ts',
  'src/browser/runtime/device.ts',
  'src/browser/worker/parts.ts',
  'src/browser/client/environment.ts',
  'src/origin/assemble.ts',
  'src/origin/command/',
  // Each line of a log has the time at which it is written.
  'src/origin/logger.ts',
  // A process of its own, which watches its parent.
  'src/engine/process/parent-watchdog.ts',
  'src/cli/',
  'src/cloudflare/',
]

const FUNCTIONS = new Set(['setTimeout', 'setInterval'])
const MEMBERS = new Set([
  'AbortSignal.timeout',
  'crypto.getRandomValues',
  'crypto.randomUUID',
  'Date.now',
  'Math.random',
  'performance.now',
])

/** Where a module of `src` takes time, timers or randomness from the runtime, a line each. @param path in the repository */
export function ambientUses(path: string, source: string): string[] {
  if (!path.startsWith('src/') || ENTRIES.some((entry) => path.startsWith(entry))) return []
  const found: string[] = []
  const add = (what: string): void =>
    void found.push(`${path}: uses ${what}; take a clock, or what is drawn, as an option`)
  new Visitor({
    CallExpression({ callee }) {
      if (callee.type === 'Identifier' && FUNCTIONS.has(callee.name)) add(callee.name)
    },
    MemberExpression({ object, property }) {
      if (object.type !== 'Identifier' || property.type !== 'Identifier') return
      const name = `${object.name}.${property.name}`
      if (MEMBERS.has(name)) add(name)
    },
    NewExpression({ arguments: given, callee }) {
      if (callee.type === 'Identifier' && callee.name === 'Date' && given.length === 0) add('new Date()')
    },
  }).visit(parseSync(path, source).program)
  return found
}
