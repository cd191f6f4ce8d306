import { startCommand } from './commands/start.ts'
import { runScript } from './terminal/command-line.ts'

// What `npm start` runs; the same as `verge start`.
await runScript(startCommand.help, () => startCommand.run(process.argv.slice(2)))
