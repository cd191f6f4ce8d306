import type { Option, Options } from './options.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

export function isShell(name: string): name is Shell {
  return (SHELLS as readonly string[]).includes(name)
}

/** A command, as far as a shell completes it. */
export interface CompletedCommand {
  /** Two words for a command of a family: `keys create`. The family itself is a command whose operands are these. */
  readonly name: string
  readonly about: string
  readonly options: Options
  readonly operands: 'files' | readonly string[] | undefined
}

/** The values of an option or operand: one of these words, files, or anything that cannot be completed. */
type Values = readonly string[] | 'files' | 'anything'

interface CompletedOption {
  /** With their dashes: `--verify`, `--no-verify`, `-o`. */
  readonly flags: readonly string[]
  /** Undefined for an option without a value. */
  readonly values: Values | undefined
  readonly about: string
}

/** The script that `verge completion SHELL` prints. Every word in it comes from the tables that commands are parsed by. */
export function completionScript(shell: Shell, commands: readonly CompletedCommand[]): string {
  switch (shell) {
    case 'bash':
      return bash(commands)
    case 'zsh':
      return zsh(commands)
    case 'fish':
      return fish(commands)
  }
}

function optionsOf({ options }: CompletedCommand): CompletedOption[] {
  const taken = new Set<string>()
  return Object.entries(options).flatMap(([name, option]) => {
    const flags = flagsOf(name, option).filter((flag) => !taken.has(flag))
    for (const flag of flags) taken.add(flag)
    const values = option.type === 'boolean' ? undefined : valuesOf(option)
    return flags.length === 0 ? [] : [{ flags, values, about: firstLine(option.help) }]
  })
}

/** An option is completed as its help writes it, so that `--no-verify` is offered and `--verify` is not. */
function flagsOf(name: string, { help, short, shown }: Option): string[] {
  const written = shown?.match(/(?<![\w-])--?[a-z][a-z-]*/g) ?? [
    ...(short === undefined ? [] : [`-${short}`]),
    `--${name}`,
  ]
  const negated = `--no-${name}`
  return firstLine(help).includes(negated) ? [...written, negated] : written
}

function valuesOf({ choices, value }: Option): Values {
  return choices ?? (['FILE', 'DIR', 'PATH'].includes(value ?? '') ? 'files' : 'anything')
}

function firstLine(help: Option['help']): string {
  return (typeof help === 'string' ? help : help?.[0]) ?? ''
}

/** Lines of a `case` over command and option, equal ones together. @param action what a shell does for such values */
function valueCases(commands: readonly CompletedCommand[], action: (values: Values) => string): string[] {
  const patterns = new Map<string, string[]>()
  for (const command of commands) {
    for (const { flags, values } of optionsOf(command)) {
      if (values === undefined) continue
      const done = action(values)
      patterns.set(done, [...(patterns.get(done) ?? []), ...flags.map((flag) => quoted(`${command.name} ${flag}`))])
    }
  }
  return [...patterns].map(([done, all]) => `    ${all.join('|')}) ${done}return ;;`)
}

/** Commands that the first word names. */
function firstWords(commands: readonly CompletedCommand[]): readonly CompletedCommand[] {
  return commands.filter(({ name }) => !name.includes(' '))
}

/** Names of families: what follows them is a part of the command's name. */
function families(commands: readonly CompletedCommand[]): string[] {
  return [...new Set(commands.flatMap(({ name }) => (name.includes(' ') ? [name.slice(0, name.indexOf(' '))] : [])))]
}

/** The name of a command as a pattern of `case`. */
function pattern(name: string): string {
  return name.includes(' ') ? quoted(name) : name
}

function operandCases(commands: readonly CompletedCommand[], action: (values: Values) => string): string[] {
  return commands.flatMap(({ name, operands }) =>
    operands === undefined ? [] : [`      ${pattern(name)}) ${action(operands)};;`],
  )
}

/**
 * Where the function offers nothing, readline offers files; `compopt` prevents that where it exists (bash 4 and later).
 * `=` splits words in bash: `--dtype=q4` is three of them.
 */
function bash(commands: readonly CompletedCommand[]): string {
  const words = (all: readonly string[]): string => `COMPREPLY=($(compgen -W ${quoted(all.join(' '))} -- "$current")); `
  const action = (values: Values): string =>
    values === 'files' ? '' : values === 'anything' ? 'compopt +o default 2>/dev/null; ' : words(values)
  return `# Completion of verge for bash: source <(npx verge completion bash)
_verge() {
  local first=0 current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command
  COMPREPLY=()
  if [[ \${COMP_WORDS[0]##*/} == npx ]]; then
    first=1
    if [[ $COMP_CWORD == 1 || \${COMP_WORDS[1]} != verge ]]; then return; fi
  fi
  if [[ $COMP_CWORD == $((first + 1)) ]]; then ${words(firstWords(commands).map(({ name }) => name))}return; fi
  command=\${COMP_WORDS[first+1]}
${families(commands)
  .map(
    (name) =>
      `  if [[ $command == ${name} && $COMP_CWORD -gt $((first + 2)) ]]; then command="$command \${COMP_WORDS[first+2]}"; fi\n`,
  )
  .join('')}  if [[ $current == = ]]; then current=
  elif [[ $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD-2]}; fi
  case "$command $previous" in
${valueCases(commands, action).join('\n')}
  esac
  if [[ $current != -* ]]; then
    case $command in
${operandCases(commands, action).join('\n')}
      *) compopt +o default 2>/dev/null ;;
    esac
    return
  fi
  case $command in
${commands.map((command) => `    ${pattern(command.name)}) ${words(optionsOf(command).flatMap(({ flags }) => flags))};;`).join('\n')}
  esac
}
complete -o default -F _verge verge npx`
}

function zsh(commands: readonly CompletedCommand[]): string {
  const action = (values: Values): string =>
    values === 'files' ? '_files; ' : values === 'anything' ? '' : `compadd -- ${values.map(quoted).join(' ')}; `
  const described = (names: readonly string[], about: string): string[] =>
    names.map((name) => quoted(about === '' ? name : `${name}:${about}`))
  const optionList = (command: CompletedCommand): string =>
    optionsOf(command)
      .flatMap(({ flags, about }) => described(flags, about))
      .join(' ')
  return `# Completion of verge for zsh: source <(npx verge completion zsh), after compinit
_verge() {
  local first=1 command previous=\${words[CURRENT-1]}
  local -a list
  if [[ \${words[1]##*/} == npx ]]; then
    first=2
    if [[ $CURRENT == 2 || \${words[2]} != verge ]]; then _files; return; fi
  fi
  if [[ $CURRENT == $((first + 1)) ]]; then
    list=(${firstWords(commands)
      .flatMap(({ name, about }) => described([name], about))
      .join(' ')})
    _describe command list
    return
  fi
  command=\${words[first+1]}
${families(commands)
  .map(
    (name) =>
      `  if [[ $command == ${name} && $CURRENT -gt $((first + 2)) ]]; then command="$command \${words[first+2]}"; fi\n`,
  )
  .join('')}  if [[ \${words[CURRENT]} == --*=* ]]; then
    previous=\${words[CURRENT]%%=*}
    compset -P '*='
  fi
  case "$command $previous" in
${valueCases(commands, action).join('\n')}
  esac
  if [[ \${words[CURRENT]} != -* ]]; then
    case $command in
${operandCases(commands, action).join('\n')}
    esac
    return
  fi
  case $command in
${commands.map((command) => `    ${pattern(command.name)}) list=(${optionList(command)}) ;;`).join('\n')}
  esac
  _describe -o option list
}
compdef _verge verge npx`
}

function fish(commands: readonly CompletedCommand[]): string {
  const line = (condition: string, ...rest: readonly string[]): string =>
    ['complete -c verge -c npx', `-n ${fishQuoted(condition)}`, ...rest].join(' ')
  const about = (text: string): string[] => (text === '' ? [] : [`-d ${fishQuoted(text)}`])
  const valuesFlag = (values: Values): string =>
    values === 'files' ? '-r -F' : values === 'anything' ? '-x' : `-x -a ${fishQuoted(values.join(' '))}`
  const optionLines = (command: CompletedCommand): string[] =>
    optionsOf(command).map(({ flags, values, about: text }) =>
      line(
        `__verge_in ${command.name}`,
        ...flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)),
        ...(values === undefined ? [] : [valuesFlag(values)]),
        ...about(text),
      ),
    )
  const operandLines = ({ name, operands }: CompletedCommand): string[] => {
    if (operands === undefined) return []
    const where = families(commands).includes(name) ? '__verge_after' : '__verge_in'
    return [line(`${where} ${name}`, operands === 'files' ? '-F' : `-a ${fishQuoted(operands.join(' '))}`)]
  }
  return `# Completion of verge for fish: npx verge completion fish > ~/.config/fish/completions/verge.fish
# The words after "verge", or after "npx verge"; fails in any other command.
function __verge_words
    set -l words (commandline -opc)
    test "$words[1]" = npx; and set -e words[1]
    test "$words[1]" = verge; or return 1
    set -e words[1]
    string join \\n -- $words
    return 0
end
function __verge_first
    set -l words (__verge_words)
    and test (count $words) -eq 0
end
function __verge_in
    set -l words (__verge_words)
    and test "$words[1]" = $argv[1]
end
${line('__verge_words >/dev/null', '-f')}
${firstWords(commands)
  .map(({ name, about: text }) => line('__verge_first', `-a ${name}`, ...about(text)))
  .join('\n')}
${commands.flatMap((command) => [...operandLines(command), ...optionLines(command)]).join('\n')}`
}

/** For bash and zsh: nothing is special in single quotes but themselves. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
