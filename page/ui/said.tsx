/**
 * An answer in a sentence, for screen readers. It stands in the page before there is an answer: most screen readers say what
 * changes in a live region, and not what comes with a new one.
 */
export function Said({ children = '' }: { readonly children?: string | undefined }) {
  return (
    <p class="only-read-aloud" role="status">
      {children}
    </p>
  )
}
