/** `verge origin`: what `npm run origin` runs in the repository. */
export { originCommand } from '../../origin/command/origin-command.ts'
