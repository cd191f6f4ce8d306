/** What happened to a request: downloaded with the first answer. */
export { type ResultProps, ResultView } from './view.tsx'
