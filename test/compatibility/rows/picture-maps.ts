import type { CompatibilityRow } from '../row.ts'

const PROOF = 'test/e2e/picture-maps.full.ts'
const PICTURE = "-H 'content-type: image/png' --data-binary @colours.png"

export const rows: readonly CompatibilityRow[] = [
  {
    group: 'pipelines',
    what: '`image-segmentation`: classes, and things with classes',
    state: 'works',
    client: '@huggingface/transformers',
    proof: { file: PROOF, test: 'segments as transformers.js does: %s' },
    curl: `curl $VERGE/run/hues ${PICTURE}`,
    note: 'Of classes, `score` is left out instead of `null`',
  },
  {
    group: 'pipelines',
    what: '`background-removal`',
    state: 'works',
    client: '@huggingface/transformers',
    proof: { file: PROOF, test: 'removes backgrounds as transformers.js does: %s' },
    curl: `curl $VERGE/run/bright-parts ${PICTURE} -o cut-out.png -w '%{size_download} bytes'`,
  },
  {
    group: 'pipelines',
    what: '`depth-estimation`',
    state: 'works',
    client: '@huggingface/transformers',
    proof: { file: PROOF, test: 'estimates depth as transformers.js does' },
    curl: `curl "$VERGE/run/bright-near?predicted_depth=base64" ${PICTURE}`,
  },
  {
    group: 'huggingface',
    what: '`imageSegmentation`',
    state: 'works',
    client: '@huggingface/inference',
    proof: { file: PROOF, test: "answers the client of Hugging Face's inference API" },
    curl: `curl $VERGE/huggingface/models/hues ${PICTURE}`,
  },
]
