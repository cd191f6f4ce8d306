import { useEffect, useState } from 'preact/hooks'
import type { ListedModel, VergeClient } from '../src/client/index.ts'
import { Notice } from './ui/index.ts'

/** The page over a client of the Worker that serves it. */
export function App({ client }: { readonly client: VergeClient }) {
  const [models, setModels] = useState<readonly ListedModel[]>()
  const [failure, setFailure] = useState<string>()
  useEffect(() => {
    client.models().then(setModels, (error: Error) => setFailure(error.message))
  }, [client])
  return (
    <main class="page-main">
      <h1>Models</h1>
      {failure !== undefined && (
        <Notice kind="bad" title="The models cannot be listed">
          <p>{failure}</p>
        </Notice>
      )}
      <ul>
        {models?.map(({ id }) => (
          <li key={id}>{id}</li>
        ))}
      </ul>
    </main>
  )
}
