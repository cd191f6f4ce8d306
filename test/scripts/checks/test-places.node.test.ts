import { describe, expect, it } from 'vitest'
import { misplacedTests } from '../../../scripts/checks/test-places.ts'

const MODULES = [
  'src/placement/breaker.ts',
  'src/placement/remote/oip.ts',
  'src/app.ts',
  'docs/cli.md',
  'bench/lib/load.ts',
]

const found = (path: string): number => misplacedTests([...MODULES, path]).length

describe('where a test lies', () => {
  it.each([
    'test/placement/breaker.worker.test.ts',
    'test/placement/breaker-trials.node.test.ts',
    'test/placement/remote-servers.node.test.ts',
    'test/placement/remote/oip.worker.test.ts',
    'test/placement/placement-order.worker.test.ts',
    'test/app.worker.test.ts',
    'test/docs/links.node.test.ts',
    'test/bench/lib/anything.node.test.ts',
    'test/e2e/push.test.ts',
  ])('may be %s', (path) => expect(found(path)).toBe(0))

  it.each([
    ['in a folder that is gone', 'test/worker/breaker.worker.test.ts'],
    ['in a folder that is gone', 'test/docs/attic/links.node.test.ts'],
    ['of no module', 'test/placement/break.worker.test.ts'],
    ['of a module that is elsewhere', 'test/placement/oip.worker.test.ts'],
    ['of no runtime', 'test/placement/breaker.test.ts'],
  ])('is %s: %s', (_, path) => expect(found(path)).toBe(1))
})
