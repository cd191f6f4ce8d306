import type { CallerKind, WorkerInfo } from '../state/api.ts'
import type { Loaded } from '../state/use-loaded.ts'
import { KeyField } from './key-field.tsx'

interface Props {
  readonly worker: Loaded<WorkerInfo>
  readonly online: boolean
  readonly apiKey: string
  /** What the Worker takes the credential for, false if it does not accept it; undefined as long as it has not said so. */
  readonly accepted: CallerKind | false | undefined
  readonly onKey: (key: string) => void
}

/** The name, how the Worker is, and the way to everything else that it has. */
export function Header({ accepted, apiKey, online, onKey, worker }: Props) {
  return (
    <header class="header">
      <div class="header-inner">
        <a class="header-name" href="#/">
          Verge
        </a>
        <Status worker={worker} online={online} />
        <nav class="header-links" aria-label="API">
          <a href="/openapi.json">API</a>
          <a href="/client.js">Client</a>
          {accepted === 'operator' && <a href="/operate">Operations</a>}
          <KeyField value={apiKey} accepted={accepted} onKey={onKey} />
        </nav>
      </div>
    </header>
  )
}

function Status({ online, worker: { failure, value } }: Pick<Props, 'worker' | 'online'>) {
  const [state, words] = !online
    ? ['bad', 'This device is offline']
    : failure !== undefined
      ? ['bad', 'The Worker does not answer']
      : value === undefined
        ? ['unknown', 'Asking the Worker']
        : value.ok
          ? ['good', `Ready, version ${value.version}`]
          : ['bad', `The engine is not available, version ${value.version}`]
  return (
    <p class="status" role="status">
      <span class={`status-dot status-${state}`} aria-hidden="true" />
      {words}
    </p>
  )
}
