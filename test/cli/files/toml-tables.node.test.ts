import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../../src/cli/files/project.ts'
import { withoutTables } from '../../../src/cli/files/toml-tables.ts'

describe('a TOML file without some tables', () => {
  it('keeps all others, with their comments', () => {
    const toml = 'name = "a"\n\n# Of b.\n[b]\nx = 1\n\n# Of c.\n[c]\ny = [1]\n\n[[b.list]]\nz = 2\n'
    expect(withoutTables(toml, ['b'])).toBe('name = "a"\n\n# Of c.\n[c]\ny = [1]\n\n[[b.list]]\nz = 2\n')
    expect(withoutTables(toml, [])).toBe(toml)
  })

  it("leaves no trace of the page in Verge's own", async () => {
    const own = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
    const without = withoutTables(own, ['assets', 'build'])
    expect(own).toMatch(/^\[assets\]$/m)
    expect(without).not.toMatch(/assets|\[build\]/i)
    expect(without.match(/^\[+.*$/gm)).toEqual(
      own.match(/^\[+.*$/gm)?.filter((line) => !/^\[(assets|build)\]$/.test(line)),
    )
  })
})
