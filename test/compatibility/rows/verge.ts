import type { CompatibilityRow, WorkingRow } from '../row.ts'

const CLIENT = 'test/e2e/client.test.ts'

function own(what: string, test: string, curl: string): WorkingRow {
  return {
    group: 'verge',
    what,
    state: 'works',
    client: 'its documentation',
    proof: { file: CLIENT, test },
    curl,
  }
}

/** By `/client.js`, Verge's own client. */
export const rows: readonly CompatibilityRow[] = [
  own('Tasks at `/run`', 'runs texts', `curl $VERGE/run/reviews -H 'content-type: text/plain' -d 'A quiet film.'`),
  own('Models and what they take', 'lists models', 'curl $VERGE/models'),
  own(
    'Documents in order at `/rerank`',
    'ranks documents',
    `curl $VERGE/rerank -H 'content-type: application/json' \\
  -d '{"model": "embedder", "query": "A quiet film.", "documents": ["A loud film.", "No."]}'`,
  ),
]
