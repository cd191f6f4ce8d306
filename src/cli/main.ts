import { COMMANDS } from './command-list.ts'
import { closest } from './terminal/closest.ts'
import { runScript, UsageError } from './terminal/command-line.ts'

const HELP = `Usage: npx verge <command> [options]

${Object.entries(COMMANDS)
  .map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`)
  .join('\n')}

"npx verge <command> --help" shows the options of a command.`

const [name = '--help', ...args] = process.argv.slice(2)
const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
if (entry === undefined) {
  await runScript(HELP, async () => {
    if (name === '--help' || name === '-h' || name === 'help') return HELP
    const meant = closest(name, Object.keys(COMMANDS))
    throw new UsageError(
      `There is no command "${name}".${meant === undefined ? '' : ` Did you mean "${meant}"?`} "npx verge --help" lists them.`,
    )
  })
} else {
  const command = await entry.load()
  await runScript(command.help, () => command.run(args))
}
