import { render } from 'preact'
import { App } from './app.tsx'
import './style/tokens.css'
import './style/models.css'
import './style/page.css'
import './style/shell.css'
import './style/ui.css'
import { loadBrowser } from './state/browser-engine.ts'

const root = document.getElementById('page')
if (root !== null) {
  // Visitors of the playground download nothing of the page for operators.
  if (location.pathname.endsWith('/operate'))
    void import('./operate/index.tsx').then(({ start }) => start(root, location.origin))
  else render(<App url={location.origin} loadBrowser={loadBrowser} />, root)
}
