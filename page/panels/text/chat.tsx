import { useEffect, useRef, useState } from 'preact/hooks'
import { Button, Scroll } from '../../ui/index.ts'
import type { PanelProps, PanelRequest } from '../panel.ts'
import { checkSettings, type Message, messagesOf, noteOf, type ShownMessage } from './conversation.ts'
import { exampleQuestions } from './examples.ts'
import { Examples } from './form.tsx'
import { SettingsFields } from './settings.tsx'
import './chat.css'
import './text.css'

/** What was asked, and is being answered. */
interface Turn {
  readonly request: PanelRequest
  readonly asked: string
  /** It was answered, stopped or failed. */
  readonly over: boolean
}

/** A conversation. Each part of an answer appears when it arrives; a screen reader reads the answer when it is complete. */
export function ChatPanel({ answer, busy, model, run, stop }: PanelProps) {
  const [said, setSaid] = useState<readonly ShownMessage[]>([])
  const [turn, setTurn] = useState<Turn>()
  const [draft, setDraft] = useState('')
  const [settings, setSettings] = useState({ system: '', temperature: '0', maxTokens: '' })
  const field = useRef<HTMLTextAreaElement>(null)
  const log = useRef<HTMLElement>(null)
  const { parameters, problem } = checkSettings(settings, model.generation?.contextLength)
  const mine = turn !== undefined && answer?.request === turn.request ? answer : undefined
  const text = mine === undefined ? '' : String(mine.output)
  const note = noteOf(mine?.text?.finishReason)
  const ready = !busy && problem === undefined && draft.trim() !== ''

  // The newest line stays in view.
  useEffect(() => {
    if (log.current !== null) log.current.scrollTop = log.current.scrollHeight
  }, [text, said, turn])

  // An answer that was stopped, or broke off, keeps what had arrived. A question without any answer can be asked again.
  useEffect(() => {
    if (turn?.over !== true) return
    if (text === '') setDraft(turn.asked)
    else setSaid([...said, { role: 'user', content: turn.asked }, { role: 'assistant', content: text, note }])
    setTurn(undefined)
    field.current?.focus()
  }, [turn, text, note, said])

  const send = (asked: string): void => {
    const request: PanelRequest = { method: 'chat', input: messagesOf(settings.system, said, asked), parameters }
    setTurn({ request, asked, over: false })
    setDraft('')
    // The last part arrives with the same render as this, or before it.
    void run(request).then(() => setTurn({ request, asked, over: true }))
  }
  const last = turn === undefined ? said.at(-1) : undefined
  return (
    <div class="text-panel chat">
      {(said.length > 0 || turn !== undefined) && (
        <Scroll label="Conversation" innerRef={log}>
          <ol class="chat-messages">
            {said.map((message, index) => (
              <ChatMessage key={index} from={message.role} content={message.content} note={message.note} />
            ))}
            {turn !== undefined && <ChatMessage key={said.length} from="user" content={turn.asked} />}
            {turn !== undefined && <ChatMessage key={said.length + 1} from="assistant" content={text} writing />}
          </ol>
        </Scroll>
      )}
      <p class="only-read-aloud" role="status">
        {last === undefined ? '' : [last.content, last.note].filter(Boolean).join(' ')}
      </p>
      <form
        class="text-form"
        onSubmit={(event) => {
          event.preventDefault()
          if (ready) send(draft)
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape' && busy) stop()
        }}
      >
        <textarea
          ref={field}
          class="control chat-draft"
          rows={2}
          aria-label="Message"
          placeholder="Ask something"
          value={draft}
          onInput={(event) => setDraft(event.currentTarget.value)}
          onKeyDown={(event) => {
            // Enter ends a word of an input method, too.
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
            event.preventDefault()
            if (ready) send(draft)
          }}
        />
        <Examples texts={exampleQuestions(model)} onChoose={(text) => (busy ? setDraft(text) : send(text))} />
        <div class="text-actions">
          {busy ? (
            <Button onClick={stop}>Stop</Button>
          ) : (
            <Button kind="primary" type="submit" disabled={!ready}>
              Send
            </Button>
          )}
          {said.length > 0 && !busy && (
            <Button kind="quiet" onClick={() => setSaid([])}>
              New conversation
            </Button>
          )}
          <span class="text-hint">{busy ? 'Esc stops it.' : 'Enter sends, Shift+Enter begins a line.'}</span>
        </div>
        <SettingsFields settings={settings} onChange={setSettings} problem={problem} withSystem />
      </form>
    </div>
  )
}

interface ChatMessageProps {
  readonly from: Message['role']
  readonly content: string
  readonly note?: string | undefined
  readonly writing?: boolean
}

function ChatMessage({ content, from, note, writing = false }: ChatMessageProps) {
  return (
    <li class={`chat-message chat-${from}`}>
      <span class="chat-role">{from === 'user' ? 'You' : 'Model'}</span>
      <div class="chat-content" aria-busy={writing}>
        {content}
        {writing && <span class="chat-caret" aria-hidden="true" />}
      </div>
      {note !== undefined && <p class="text-hint">{note}</p>}
    </li>
  )
}
