import { TextArea, TextInput } from '../../ui/index.ts'
import type { Settings } from './conversation.ts'

interface Props {
  readonly settings: Settings
  readonly onChange: (settings: Settings) => void
  readonly problem: string | undefined
  /** A text to continue has no system prompt. */
  readonly withSystem: boolean
}

/** How a text is generated; out of the way until somebody opens it. */
export function SettingsFields({ onChange, problem, settings, withSystem }: Props) {
  return (
    <details class="settings">
      <summary>Settings</summary>
      <div class="settings-fields">
        {withSystem && (
          <TextArea
            label="System prompt"
            rows={2}
            value={settings.system}
            onInput={(system) => onChange({ ...settings, system })}
          />
        )}
        <div class="settings-numbers">
          <TextInput
            label="Temperature"
            kind="number"
            hint="0 to 2; 0 always takes the likeliest token."
            value={settings.temperature}
            onInput={(temperature) => onChange({ ...settings, temperature })}
          />
          <TextInput
            label="Maximum of tokens"
            kind="number"
            hint="Empty: the model's own."
            value={settings.maxTokens}
            onInput={(maxTokens) => onChange({ ...settings, maxTokens })}
          />
        </div>
        {problem !== undefined && (
          <p class="settings-problem" role="alert">
            {problem}
          </p>
        )}
      </div>
    </details>
  )
}
