import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'

/** Every page of the repository, those that are not committed yet included. */
const PAGES = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(ROOT, path)))

/** A page without its code, in which `#` begins comments and brackets are programs. */
function proseOf(path: string): string {
  return readFileSync(path, 'utf8')
    .replaceAll(/^(`{3,})[^\n]*\n[\s\S]*?^\1$/gm, '')
    .replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll(/[[\]()]/g, '_'))
}

/** Anchors as GitHub makes them of headings; a heading that is there again gets a number. */
function anchorsOf(path: string): ReadonlySet<string> {
  const seen = new Map<string, number>()
  const anchors = new Set<string>()
  for (const [, heading = ''] of proseOf(path).matchAll(/^#{1,6} (.*)$/gm)) {
    const slug = heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
    const before = seen.get(slug) ?? 0
    seen.set(slug, before + 1)
    anchors.add(before === 0 ? slug : `${slug}-${before}`)
  }
  return anchors
}

/** Links that lead nowhere. */
function brokenLinks(page: string): string[] {
  const path = join(ROOT, page)
  return [...proseOf(path).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = '']) => link)
    .filter((link) => !/^[a-z][a-z0-9+.-]*:/i.test(link))
    .filter((link) => {
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? path : resolve(dirname(path), file)
      if (relative(ROOT, target).startsWith('..') || !existsSync(target)) return true
      return anchor !== undefined && !(target.endsWith('.md') && anchorsOf(target).has(anchor))
    })
}

describe('links between pages', () => {
  it.each(PAGES)('%s', (page) => {
    expect(brokenLinks(page)).toEqual([])
  })

  it('are found', () => {
    expect(PAGES).toContain('README.md')
    expect(proseOf(join(ROOT, 'README.md'))).toMatch(/\]\(docs\/tasks\.md\)/)
    expect([...anchorsOf(join(ROOT, 'docs/deploy.md'))]).toContain('1-run-it-here')
  })

  it('lead from the README to every page of docs/ within two steps', () => {
    const reached = new Set(['README.md'])
    for (let step = 0; step < 2; step++) {
      for (const page of [...reached].filter((each) => each.endsWith('.md'))) {
        for (const [, link = ''] of proseOf(join(ROOT, page)).matchAll(/\]\(([^)#\s]+)/g)) {
          if (!link.includes(':')) reached.add(relative(ROOT, resolve(ROOT, dirname(page), link)))
        }
      }
    }
    const pages = PAGES.filter((page) => page.startsWith('docs/') && !page.startsWith('docs/decisions/'))
    expect(pages.filter((page) => !reached.has(page))).toEqual([])
  })
})

describe('paths that pages name in code', () => {
  it('exist', () => {
    const named = PAGES.filter((page) => page === 'README.md' || page.startsWith('docs/')).flatMap((page) =>
      [
        ...readFileSync(join(ROOT, page), 'utf8').matchAll(
          /(?:`|\s)((?:deploy|test|scripts|src|docs)\/[\w./-]+\.(?:yaml|json|ts|md|example))(?=[`\s,])/g,
        ),
      ].map(([, path = '']) => ({ page, path })),
    )
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter(({ path }) => !existsSync(join(ROOT, path)))).toEqual([])
  })
})

describe('docs/cli.md', () => {
  const page = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8')

  it('lists every command', () => {
    const files = readdirSync(join(ROOT, 'src/cli/commands'))
    // a family has a folder, too
    const commands = [...new Set(files.map((file) => file.replace(/\.ts$/, '')))]
    const listed = [...page.matchAll(/^\| `npx verge (\w+)/gm)].map(([, name]) => name)
    expect(listed.sort()).toEqual(commands.sort())
  })

  it('names scripts of package.json', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object }
    const named = [...page.matchAll(/`npm (?:run )?([a-z:-]+)/g)].map(([, name]) => name)
    expect(named.length).toBeGreaterThan(6)
    for (const name of named) expect(Object.keys(scripts)).toContain(name)
  })
})
