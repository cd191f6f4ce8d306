import { useState } from 'preact/hooks'
import { Button, TextArea } from '../../ui/index.ts'
import type { PanelProps, PanelRequest } from '../panel.ts'
import './chat.css'
import { missingText } from './classification.tsx'
import { checkSettings, noteOf } from './conversation.ts'
import { exampleBeginnings } from './examples.ts'
import { Examples, RunForm } from './form.tsx'
import { SettingsFields } from './settings.tsx'
import './text.css'

/** A text that the model continues; each part appears when it arrives. */
export function CompletionPanel({ answer, busy, model, run, stop }: PanelProps) {
  const examples = exampleBeginnings(model)
  const [prompt, setPrompt] = useState(examples[0] ?? '')
  const [settings, setSettings] = useState({ system: '', temperature: '0', maxTokens: '' })
  const { parameters, problem } = checkSettings(settings, model.generation?.contextLength)
  const mine = answer?.request.method === 'complete' ? answer : undefined
  const text = mine === undefined ? '' : String(mine.output)
  const note = noteOf(mine?.text?.finishReason)
  const start = (): void => {
    const request: PanelRequest = { method: 'complete', input: prompt, parameters }
    void run(request)
  }
  return (
    <div class="text-panel">
      <RunForm busy={busy} missing={problem ?? missingText(prompt)} onRun={start}>
        <TextArea label="Text to continue" value={prompt} onInput={setPrompt} />
        <Examples texts={examples} onChoose={setPrompt} />
        <SettingsFields settings={settings} onChange={setSettings} problem={problem} withSystem={false} />
      </RunForm>
      {busy && (
        <div>
          <Button onClick={stop}>Stop</Button>
        </div>
      )}
      {mine !== undefined && (
        <section class="text-answer" aria-label="Answer" aria-busy={busy}>
          <p class="completion">
            <span class="completion-prompt">{String(mine.request.input)}</span>
            {text}
            {busy && <span class="chat-caret" aria-hidden="true" />}
          </p>
          {!busy && note !== undefined && <p class="text-hint">{note}</p>}
        </section>
      )}
      <p class="only-read-aloud" role="status">
        {busy ? '' : [text, text === '' ? undefined : note].filter(Boolean).join(' ')}
      </p>
    </div>
  )
}
