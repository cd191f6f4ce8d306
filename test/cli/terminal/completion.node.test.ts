import { execFileSync } from 'node:child_process'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Command } from '../../../src/cli/command.ts'
import { COMMANDS } from '../../../src/cli/command-list.ts'
import { completionCommand } from '../../../src/cli/commands/completion.ts'
import { UsageError } from '../../../src/cli/terminal/command-line.ts'
import { type CompletedCommand, completionScript, SHELLS } from '../../../src/cli/terminal/completion.ts'

function bash(script: string, ...args: readonly string[]): string {
  return execFileSync('bash', ['--norc', '--noprofile', '-c', script, 'bash', ...args], { encoding: 'utf8' })
}

/** What bash offers for the last of these words. `compopt` works only while readline completes, so its calls are listed. */
function offered(script: string, ...words: readonly string[]): string[] {
  const harness = `compopt() { COMPREPLY+=("compopt $*"); }
${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _verge; printf '%s\\n' "\${COMPREPLY[@]}"`
  return bash(harness, ...words)
    .split('\n')
    .filter((word) => word !== '')
}

describe('verge completion', () => {
  const scripts = new Map<string, string>()
  const commands = new Map<string, Command>()

  beforeAll(async () => {
    for (const [name, { load }] of Object.entries(COMMANDS)) {
      const command = await load()
      commands.set(name, command)
      for (const [sub, { command: each }] of Object.entries(command.subcommands ?? {})) {
        commands.set(`${name} ${sub}`, each)
      }
    }
    for (const shell of SHELLS) scripts.set(shell, (await completionCommand(COMMANDS).run([shell])) ?? '')
  })

  const inBash = (...words: readonly string[]) => offered(scripts.get('bash') ?? '', ...words)

  it('is registered for verge and npx, as real bash reports', () => {
    expect(bash(`${scripts.get('bash')}\ncomplete -p verge npx`)).toBe(
      'complete -o default -F _verge verge\ncomplete -o default -F _verge npx\n',
    )
  })

  it('offers the commands that start with what is typed', () => {
    expect(inBash('verge', '')).toEqual(Object.keys(COMMANDS))
    expect(inBash('verge', 're')).toEqual(['release'])
    expect(inBash('npx', 'verge', 'p')).toEqual(['push', 'profile', 'pack', 'probe'])
    expect(inBash('/usr/bin/npx', 'verge', 'zz')).toEqual([])
  })

  it('offers exactly the options that the help of each command has', () => {
    for (const [name, { help }] of commands) {
      const described = help.split('\n').flatMap((line) => {
        const [, written = ''] = /^ {2}((?:-\w, )?--[\w-]+.*?)(?: {2,}|$)/.exec(line) ?? []
        return written.match(/(?<![\w-])--?[a-z][a-z-]*/g) ?? []
      })
      const negated = help.match(/--no-(per-channel|symmetric)/g) ?? []
      expect(described, name).toContain('--help')
      expect(inBash('verge', ...name.split(' '), '-').sort(), name).toEqual(
        [...new Set([...described, ...negated])].sort(),
      )
    }
  })

  it.each([
    ['words', ['push', 'm', '--dtype', 'q'], ['q8', 'q4', 'q4f16']],
    ['words after =', ['push', 'm', '--dtype', '=', 'fp'], ['fp32', 'fp16']],
    ['all words after a bare =', ['push', 'm', '--layout', '='], ['NCHW', 'NHWC']],
    ['locations', ['setup', '--location', 'w'], ['wnam', 'weur']],
    ['files for a file', ['push', '--labels', ''], []],
    ['files for a short option', ['quantize', '-o', ''], []],
    ['files for a model', ['inspect', ''], []],
    ['shells', ['completion', ''], [...SHELLS]],
    ['nothing for a name', ['push', '--name', ''], ['compopt +o default']],
    ['nothing for the name of a model', ['rm', ''], ['compopt +o default']],
    ['the commands of a family', ['keys', 're'], ['revoke']],
    ['files for an option of one of them', ['keys', 'create', 'shop', '--signing', ''], []],
    ['nothing for the id of a key', ['keys', 'show', ''], ['compopt +o default']],
  ])('offers %s', (_, words, expected) => {
    expect(inBash('verge', ...words)).toEqual(expected)
    expect(inBash('npx', 'verge', ...words)).toEqual(expected)
  })

  it('leaves other commands of npx to files', () => {
    expect(inBash('npx', 'verg')).toEqual([])
    expect(inBash('npx', 'wrangler', '--')).toEqual([])
  })

  it('is text that a shell can parse, whatever a description says', () => {
    const odd: CompletedCommand = {
      name: 'odd',
      about: `don't: "quote" $(false) \`x\` \\`,
      options: {
        it: { type: 'string', value: 'FILE', help: `what isn't \\ $HOME` },
        on: { type: 'boolean', help: '' },
      },
      operands: ['a'],
    }
    for (const shell of ['bash', 'zsh'] as const) {
      bash('bash -n <<< "$1"', completionScript(shell, [odd]))
      bash('bash -n <<< "$1"', scripts.get(shell) ?? '')
    }
    expect(offered(completionScript('bash', [odd]), 'verge', 'odd', '--')).toEqual(['--it', '--on'])
    const fish = completionScript('fish', [odd])
    expect(fish).toContain(`-a odd -d 'don\\'t: "quote" $(false) \`x\` \\\\'`)
    expect(fish).toContain(`-n '__verge_in odd' -l it -r -F -d 'what isn\\'t \\\\ $HOME'`)
    expect(fish).toContain(`-n '__verge_in odd' -a 'a'`)
  })

  it('has each option of each command in every shell', () => {
    for (const [name, { options }] of commands) {
      for (const option of inBash('verge', ...name.split(' '), '--')) {
        expect(scripts.get('zsh'), `${name} ${option}`).toMatch(
          new RegExp(`^ +'?${name}'?\\) list=\\(.*'${option}[:']`, 'm'),
        )
        expect(scripts.get('fish'), `${name} ${option}`).toMatch(
          new RegExp(`__verge_in ${name}' .*-l ${option.slice(2)}(?: |$)`, 'm'),
        )
      }
      expect(Object.keys(options)).toContain('help')
    }
  })

  it('names the shells that it knows', async () => {
    for (const args of [[], ['csh'], ['bash', 'zsh']]) {
      await expect(completionCommand(COMMANDS).run(args)).rejects.toThrow(
        new UsageError('Specify one shell: bash, zsh, fish.'),
      )
    }
  })
})
