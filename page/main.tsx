import { render } from 'preact'
import { createClient } from '../src/client/index.ts'
import { App } from './app.tsx'
import './style/tokens.css'
import './style/page.css'
import './style/ui.css'

const root = document.getElementById('page')
if (root !== null) render(<App client={createClient({ url: location.origin })} />, root)
