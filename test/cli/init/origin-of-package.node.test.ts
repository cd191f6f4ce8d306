import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { specOf } from '../../../src/cli/init/origin-of-package.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verge-spec-'))
  await mkdir(join(folder, 'cache/node_modules/verge'), { recursive: true })
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const installed = (): string => join(folder, 'cache/node_modules/verge')

/** As npm notes what it has installed. */
async function note(content: unknown): Promise<void> {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  await writeFile(join(folder, 'cache/node_modules/.package-lock.json'), text)
}

const resolvedTo = (resolved: string) => ({ packages: { 'node_modules/verge': { version: '0.1.0', resolved } } })

it('names a tarball by its path from the application', async () => {
  await note(resolvedTo('file:../here/verge-0.1.0.tgz'))
  expect(await specOf(installed(), '0.1.0', join(folder, 'here/my-app'))).toBe('file:../verge-0.1.0.tgz')
  expect(await specOf(installed(), '0.1.0', join(folder, 'elsewhere/deep/my-app'))).toBe(
    'file:../../../here/verge-0.1.0.tgz',
  )
})

it.each([
  'https://downloads.example.com/releases/verge-0.1.0.tgz',
  // What a registry's host keeps elsewhere is no package of the registry.
  'https://registry.example.com/releases/verge-0.1.0.tgz',
  'https://git.example.com/team/verge/-/releases/verge-0.1.0.tgz',
  'git+https://git.example.com/team/verge.git#0123456789abcdef0123456789abcdef01234567',
])('names an address as npm was given it: %s', async (address) => {
  await note(resolvedTo(address))
  expect(await specOf(installed(), '0.1.0', folder)).toBe(address)
})

it.each([
  ['a registry', resolvedTo('https://registry.example.com/verge/-/verge-0.1.0.tgz')],
  ['a registry under a path', resolvedTo('http://packages.example.com:8081/npm/verge/-/verge-0.1.0.tgz')],
  ['a list without addresses', { packages: { 'node_modules/verge': {} } }],
  ['a list without the package', { packages: {} }],
  ['a list that is none', { packages: [1] }],
  ['no JSON', '{'],
])('names the version: %s', async (_name, list) => {
  await note(list)
  expect(await specOf(installed(), '0.1.0', folder)).toBe('0.1.0')
})

it('names the version where another program than npm has installed the package', async () => {
  expect(await specOf(installed(), '0.1.0', folder)).toBe('0.1.0')
})
