import type { BrowserNotice } from '../../src/browser/client/index.ts'

/** What the browser's engine tells, for the visitor. */
export function noticeWords(notice: BrowserNotice): string {
  switch (notice.type) {
    case 'not-kept':
      return `This browser keeps no more weights, so that the next visit downloads "${notice.model}" again. ${notice.reason}`
    case 'damaged':
      return `What this browser kept of "${notice.model}" was damaged. It has been downloaded again.`
    case 'moved':
      return `This browser could not run "${notice.model}", and the edge answered. ${notice.reason}`
  }
}
