import type { CompatibilityRow, WorkingRow } from '../row.ts'

const JSON_TYPE = "-H 'content-type: application/json'"
const OPERATOR = '-H "authorization: Bearer $KEY"'
const ROUTES = 'test/http/oip/routes.worker.test.ts'
const RESIDENCE = 'test/http/oip/residence.worker.test.ts'
const GENERATE = 'test/http/oip/generate.worker.test.ts'

function documented(what: string, file: string, test: string, curl: string, note?: string): WorkingRow {
  const row = { group: 'oip', what, state: 'works', client: 'its documentation', proof: { file, test }, curl } as const
  return note === undefined ? row : { ...row, note }
}

export const rows: readonly CompatibilityRow[] = [
  documented('Metadata of the server', ROUTES, "is the server's", 'curl $VERGE/oip/v2'),
  documented(
    'Metadata of a model and its versions',
    ROUTES,
    "is the model's, with -1 where a dimension varies, and without what is no tensor",
    'curl $VERGE/oip/v2/models/digits',
  ),
  documented(
    'Inference on tensors, in JSON',
    ROUTES,
    'answers all outputs, echoes the id, and names the version that answered',
    `printf '{"inputs": [{"name": "image", "shape": [1, 1, 28, 28], "datatype": "FP32", "data": [0%s]}]}' \\
  "$(printf ', 0%.0s' {1..783})" | curl $VERGE/oip/v2/models/digits/infer ${JSON_TYPE} -d @-`,
  ),
  documented(
    'Binary tensors (`binary_tensor_data`)',
    ROUTES,
    'mixes JSON and bytes, input by input and output by output',
    `header='{"inputs": [{"name": "image", "shape": [1, 1, 28, 28], "datatype": "FP32", "parameters": {"binary_data_size": 3136}}]}'
(printf '%s' "$header"; head -c 3136 /dev/zero) | curl $VERGE/oip/v2/models/digits/infer \\
  -H "inference-header-content-length: \${#header}" -H 'content-type: application/octet-stream' --data-binary @-`,
  ),
  documented(
    'Model configuration',
    RESIDENCE,
    "is Triton's, with whole shapes and without what is no tensor",
    'curl $VERGE/oip/v2/models/digits/config',
  ),
  documented(
    'Statistics',
    RESIDENCE,
    "are Triton's, in nanoseconds, of each live version or of the one named",
    `curl $VERGE/oip/v2/models/digits/stats ${OPERATOR}`,
    'Of the process that answers, for the operator. On Cloudflare clocks stand still while a Worker computes: durations of runs are 0 there',
  ),
  documented(
    'Model repository: index, load, unload',
    RESIDENCE,
    'is pinned, and let go',
    `curl -X POST $VERGE/oip/v2/repository/models/digits/load ${OPERATOR} -w '%{http_code}'
curl -X POST $VERGE/oip/v2/repository/models/digits/unload ${OPERATOR} -w '%{http_code}'`,
    'To load a model is to load it and keep it in this process; to unload it is to let its weights go until a request needs them',
  ),
  documented(
    'Generate',
    GENERATE,
    'continues a prompt, which the answer has first',
    `curl $VERGE/oip/v2/models/abacus/generate ${JSON_TYPE} -d '{"text_input": "27 plus 58 is", "parameters": {"max_tokens": 4}}'`,
  ),
  documented(
    'Generate, streamed',
    GENERATE,
    'streams the new text, part by part',
    `curl $VERGE/oip/v2/models/abacus/generate_stream ${JSON_TYPE} -d '{"text_input": "27 plus 58 is", "max_tokens": 4}'`,
  ),
  {
    group: 'oip',
    what: 'Configuration or files in a load request, shared memory, sequences, tracing, logging',
    state: 'declined',
    why: 'A version never changes after its push, and an isolate shares no memory with its callers',
  },
  {
    group: 'oip',
    what: 'gRPC',
    state: 'declined',
    why: 'A Worker cannot serve it: Workers answer no HTTP/2 trailers, which gRPC ends each answer with. An origin could; the HTTP form with binary tensors carries the same bytes',
  },
]
