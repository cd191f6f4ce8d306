import type { ResultProps, ResultView } from '../result/index.ts'
import { useLoaded } from '../state/use-loaded.ts'

/** What happened to the request, downloaded with the first answer. */
export function LazyResult(props: ResultProps) {
  const view = useLoaded<{ readonly View: typeof ResultView }>(
    async () => ({ View: (await import('../result/index.ts')).ResultView }),
    [],
  )
  if (view.value === undefined) return null
  const { View } = view.value
  return <View {...props} />
}
