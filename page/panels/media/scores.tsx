import type { Score } from '../../media/answers.ts'
import { percentage } from '../../media/percentage.ts'
import { Bars, Said } from '../../ui/index.ts'

/** Labels with bars, best first, and the first of them in a sentence. @param scores undefined before there is an answer */
export function Scores({ scores }: { readonly scores: readonly Score[] | undefined }) {
  const [best] = scores ?? []
  const words = best === undefined ? 'The model gave no label.' : `${best.label}, ${percentage(best.score)}`
  return (
    <>
      <Said>{scores && words}</Said>
      {scores !== undefined && (
        <section class="media-answer" aria-label="Answer">
          <p class="media-best">{words}</p>
          <Bars bars={scores.map(({ label, score }) => ({ label, share: score }))} />
        </section>
      )}
    </>
  )
}
