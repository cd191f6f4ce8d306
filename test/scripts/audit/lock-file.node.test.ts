import { describe, expect, it } from 'vitest'
import { checkLockFile, lockFileSchema } from '../../../scripts/audit/lock-file.ts'

const weak = { version: '1.0.0', license: 'MIT', integrity: `sha512-${'A'.repeat(86)}==` }

function check(entry: Readonly<Record<string, unknown>>, allowScripts: Readonly<Record<string, boolean>> = {}) {
  const packages = { '': { name: 'project' }, 'node_modules/weak': entry }
  return checkLockFile(lockFileSchema.parse({ lockfileVersion: 3, packages }), allowScripts)
}

const messages = (...given: Parameters<typeof check>) => check(...given).findings.map(({ message }) => message)

describe('a lock file', () => {
  it('may name licences that are allowed', () => {
    expect(messages(weak)).toEqual([])
    expect(messages({ ...weak, license: '(MIT OR GPL-3.0-only)' })).toEqual([])
    expect(messages({ ...weak, license: 'GPL-3.0-only' })).toEqual([
      'weak 1.0.0 (production) has the licence GPL-3.0-only.',
    ])
    expect(messages({ ...weak, license: undefined })).toEqual(['weak 1.0.0 (production) names no licence.'])
    expect(messages({ ...weak, license: 'MPL-2.0', dev: true })).toEqual([])
    expect(messages({ ...weak, license: 'MPL-2.0' })).toHaveLength(1)
  })

  it('has a digest for each package, and registries over https', () => {
    for (const integrity of [undefined, 'sha1-x', '']) {
      expect(messages({ ...weak, integrity })).toEqual(['weak 1.0.0 (production) is not pinned by a SHA-512 digest.'])
    }
    expect(messages({ ...weak, resolved: 'https://packages.example/weak.tgz' })).toEqual([])
    for (const resolved of [
      'git+ssh://git@host.example/weak.git#abc',
      'http://packages.example/weak.tgz',
      'file:weak',
    ]) {
      expect(messages({ ...weak, resolved })).toEqual([
        'weak 1.0.0 (production) does not come from a registry over https.',
      ])
    }
  })

  it('has no install script that nobody has decided about', () => {
    const scripted = { ...weak, hasInstallScript: true }
    expect(messages(scripted)[0]).toContain('install script')
    expect(messages(scripted, { other: true })).toHaveLength(1)
    expect(messages(scripted, { weak: false })).toEqual([])
    expect(messages(scripted, { weak: true })).toEqual([])
  })

  it('counts packages, and leaves out the project itself and links', () => {
    const packages = {
      '': {},
      'node_modules/a': weak,
      'node_modules/a/node_modules/@scope/b': { ...weak, dev: true, license: 'GPL-3.0-only' },
      'node_modules/c': { link: true, resolved: 'packages/c' },
    }
    const { findings, ...counts } = checkLockFile(lockFileSchema.parse({ lockfileVersion: 3, packages }), {})
    expect(counts).toEqual({ packages: 2, production: 1 })
    expect(findings).toEqual([
      {
        package: '@scope/b',
        what: 'GPL-3.0-only',
        message: '@scope/b 1.0.0 (development) has the licence GPL-3.0-only.',
      },
    ])
  })

  it('of another version is refused', () => {
    expect(() => lockFileSchema.parse({ lockfileVersion: 1, packages: {} })).toThrow()
  })
})
