import { runScript } from '../../cli/terminal/command-line.ts'
import { originCommand } from './origin-command.ts'

await runScript(originCommand.help, () => originCommand.run(process.argv.slice(2)))
