import { percentage, type Score } from '../../media/answers.ts'
import { Bars } from '../../ui/index.ts'

/** Labels with bars, best first, and the first of them in a sentence. */
export function Scores({ scores }: { readonly scores: readonly Score[] }) {
  const [best] = scores
  return (
    <section class="media-answer" aria-label="Answer">
      <p class="media-best" role="status">
        {best === undefined ? 'The model gave no label.' : `${best.label}, ${percentage(best.score)}`}
      </p>
      <Bars bars={scores.map(({ label, score }) => ({ label, share: score, value: percentage(score) }))} />
    </section>
  )
}
