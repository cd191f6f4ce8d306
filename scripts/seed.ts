import { seedCommand } from '../src/cli/seed.ts'

await seedCommand()
