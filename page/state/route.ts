import { useEffect, useState } from 'preact/hooks'
import { modelIn } from './address.ts'

/** The model that the address names; links, the back button and typed addresses change it. */
export function useRoute(): string | undefined {
  const [model, setModel] = useState(() => modelIn(location.hash))
  useEffect(() => {
    const read = (): void => setModel(modelIn(location.hash))
    addEventListener('hashchange', read)
    return () => removeEventListener('hashchange', read)
  }, [])
  return model
}
