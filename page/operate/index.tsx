import { render } from 'preact'
import { Guard } from '../shell/guard.tsx'
import { OperatePage } from './operate-page.tsx'
import './operate.css'

/** The page for operators, in place of the playground. @param url address of the Worker, without a slash at its end */
export function start(root: HTMLElement, url: string): void {
  document.title = 'Operations · Verge'
  render(
    <Guard title="The page failed">
      <OperatePage url={url} />
    </Guard>,
    root,
  )
}
