import { useState } from 'preact/hooks'
import { Choice } from '../../ui/index.ts'
import type { PanelProps } from '../panel.ts'
import { ChatPanel } from './chat.tsx'
import { CompletionPanel } from './completion.tsx'
import './text.css'

const WAYS = [
  { value: 'chat', label: 'Chat' },
  { value: 'complete', label: 'Continue a text' },
] as const

/** A model that writes. One without a chat template only continues texts. */
export function GenerationPanel(props: PanelProps) {
  const chats = props.model.generation?.chat !== false
  const [way, setWay] = useState<'chat' | 'complete'>('chat')
  if (!chats) return <CompletionPanel {...props} />
  return (
    <div class="text-panel">
      <Choice label="Mode" options={WAYS} value={way} onChange={setWay} />
      {way === 'chat' ? <ChatPanel {...props} /> : <CompletionPanel {...props} />}
    </div>
  )
}
