import { READ_MS } from '../measures/cold-reads.ts'
import { FEW, MANY } from '../measures/models.ts'
import { ENGINES, type EngineName } from '../measures/warm.ts'
import { heldBytes } from './engine-figures.ts'
import type { Figure } from './figures.ts'
import { figures } from './figures.ts'
import { verdict } from './format.ts'
import type { BenchResult } from './result.ts'
import type { Summary } from './stats.ts'
import type { Table } from './table.ts'
import { WAY_NAMES } from './ways.ts'

const MB = 1e6
const NONE = '–'

/** Everything that a run says, as tables. */
export function tables(result: BenchResult): Table[] {
  return [
    figureTable(figures(result)),
    result.fit && fitTable(result.fit),
    result.cold && coldTable(result.cold),
    result.firstRequests && firstRequestTable(result.firstRequests),
    result.cold && memoryTable(result.cold),
    result.reads && coldReadsTable(result.reads),
    result.pages && pagesTable(result.pages),
    result.warm && warmTable(result.warm),
    result.warm && insideTable(result.warm),
    result.largest && largestTable(result.largest),
    result.throughput && throughputTable(result.throughput),
    result.router && routerTable(result.router),
    result.callers && callerTable(result.callers),
    result.callers && floodTable(result.callers),
    result.wire && wireTable(result.wire),
    result.protocols && protocolTable(result.protocols),
    result.limits && limitsTable(result.limits),
    result.telemetry && telemetryTable(result.telemetry),
    result.models && modelsTable(result.models),
    result.releases && releasesTable(result.releases),
  ].filter((table) => table !== undefined)
}

/** One sentence on what the run was made with. */
export function describeRun({ bundle, date, effort, leftOut = [], machine, seconds }: BenchResult): string {
  const { cores, cpu, instructions, memoryGiB, node, onnxruntime, workerd } = machine
  return (
    `${date}, ${effort} run of ${Math.round(seconds)} s: ${cores} cores of ${cpu} (${instructions.join(', ')}), ${memoryGiB} GiB; ` +
    `Node ${node}, workerd ${workerd}, ONNX Runtime ${onnxruntime}. ` +
    `The Worker's bundle: ${megabytes(bundle.scripts)} MB of scripts, ${megabytes(bundle.wasm)} MB of WebAssembly.` +
    leftOut.map((what) => ` LEFT OUT: ${what}.`).join('')
  )
}

function figureTable(found: readonly Figure[]): Table {
  return {
    title: 'Figures to reach',
    head: ['figure', 'target', 'this run', ''],
    rows: found.map((figure) => [figure.name, figure.target, figure.value, verdictOf(figure)]),
  }
}

function verdictOf({ aimReached, reached }: Figure): string {
  return aimReached === undefined ? verdict(reached) : `${verdict(reached)}; aim ${verdict(aimReached)}`
}

function fitTable(rows: NonNullable<BenchResult['fit']>): Table {
  return {
    title: 'Sizes in MB, and what fits an isolate',
    head: ['model', '.onnx', 'edge artifact', 'session holds', 'for ONNX Runtime', 'session holds', 'at the edge'],
    rows: rows.map(({ edgeBytes, engine, memoryBytes, model, onnxBytes, runtimeBytes, runtimeMemoryBytes }) => [
      model,
      megabytes(onnxBytes),
      ...[edgeBytes, memoryBytes, runtimeBytes, runtimeMemoryBytes].map((bytes) =>
        bytes === null ? NONE : megabytes(bytes),
      ),
      engine === null ? 'does not fit' : engine === 'verge' ? "fits: Verge's engine" : 'fits: ONNX Runtime',
    ]),
  }
}

function coldTable(rows: NonNullable<BenchResult['cold']>): Table {
  return {
    title: 'Cold start in ms: median (median absolute deviation), from a fresh workerd process to the first answer',
    head: [
      'model',
      'way',
      'process',
      'isolate',
      'engine',
      'fetch',
      'session',
      'fetch + session',
      'first run',
      'total without process',
      'CPU: isolate',
      'CPU: first answer',
    ],
    rows: rows.map((row) => [
      row.model,
      WAY_NAMES[row.way],
      spread(row.process),
      spread(row.isolate),
      spread(row.engine),
      row.fetch ? spread(row.fetch) : NONE,
      row.session ? spread(row.session) : NONE,
      spread(row.fetchAndSession),
      spread(row.firstRun),
      spread(row.total),
      spread(row.isolateCpu),
      spread(row.answerCpu),
    ]),
  }
}

function firstRequestTable({ models, startUp }: NonNullable<BenchResult['firstRequests']>): Table {
  return {
    title: 'CPU time in ms of a workerd without Miniflare and stores: median (median absolute deviation)',
    head: ['what', "isolate's thread", "V8's other threads", 'reading the same from KV alone', 'a later request'],
    rows: [
      ['start-up: script and modules', spread(startUp.isolate), spread(startUp.helpers), NONE, NONE],
      ...models.map(({ helpers, isolate, later, model, reads }) => [
        `first request: ${model}`,
        ...[isolate, helpers, reads, later].map(spread),
      ]),
    ],
  }
}

function memoryTable(rows: NonNullable<BenchResult['cold']>): Table {
  return {
    title: "Memory in MB after the first answer: the engines' WebAssembly memory, and the whole process",
    head: ['model', 'way', 'wasm, empty', 'wasm, loaded', 'resident', 'bytes fetched'],
    rows: rows.map(({ bytesFetched, emptyHeapBytes, heapBytes, model, residentBytes, way }) => [
      model,
      WAY_NAMES[way],
      megabytes(emptyHeapBytes),
      megabytes(heapBytes),
      megabytes(residentBytes),
      bytesFetched === null ? NONE : String(bytesFetched),
    ]),
  }
}

function coldReadsTable(rows: NonNullable<BenchResult['reads']>): Table {
  return {
    title: `First answer of an isolate that has read nothing, with ${READ_MS} ms put on each read of KV and R2: median (median absolute deviation)`,
    head: ['model', 'copies', 'reads', 'rounds of them, one after the other', 'ms to the answer'],
    rows: rows.map(({ answer, copies, model, reads, rounds }) => [
      model,
      copies,
      String(reads),
      String(rounds),
      spread(answer),
    ]),
  }
}

function modelsTable(rows: NonNullable<BenchResult['models']>): Table {
  return {
    title: `An isolate that has read nothing, among ${FEW} models and among ${MANY}, with local stores: median (median absolute deviation)`,
    head: ['request', 'reads, few', 'reads, many', 'ms, few', 'ms, many', 'ratio'],
    rows: rows.map(({ few, many, ratio, reads: [first, second], request }) => [
      request,
      String(first),
      String(second),
      spread(few),
      spread(many),
      `${ratio.toFixed(2)}x`,
    ]),
  }
}

function releasesTable(rows: NonNullable<BenchResult['releases']>): Table {
  const known = (requests: number | undefined): string => (requests === undefined ? NONE : String(requests))
  return {
    title: `Simulated releases, ${rows[0]?.releases ?? 0} of each kind, with 2,000 requests of the canary each`,
    head: ['canary', 'taken out', 'requests of the canary until then: half', '99 %'],
    rows: rows.map(({ canary, half, most, releases, stopped }) => [
      canary,
      `${((100 * stopped) / releases).toFixed(2)} %`,
      known(half),
      known(most),
    ]),
  }
}

function pagesTable({ cold }: NonNullable<BenchResult['pages']>): Table {
  return {
    title: `The same of an encoder with 250,037 rows in its table, most of them in pages, with ${READ_MS} ms put on each read`,
    head: ['text', 'copies', 'tokens', 'pages', 'rounds of reads, one after the other', 'ms to the answer'],
    rows: cold.map(({ answer, copies, pages, rounds, text, tokens }) => [
      text,
      copies,
      String(tokens),
      String(pages),
      String(rounds),
      spread(answer),
    ]),
  }
}

export const ENGINE_NAMES: Readonly<Record<EngineName, string>> = {
  ...WAY_NAMES,
  uncapped: "Verge's engine, Worker without a cap",
  own: "Verge's engine, Node",
  web: 'onnxruntime-web, Node',
  tfjs: 'TensorFlow.js wasm, Node',
  native: 'onnxruntime-node',
}

function warmTable(rows: NonNullable<BenchResult['warm']>): Table {
  const keys = [...new Set(rows.map(({ model, size }) => `${model}\n${size}`))]
  const engines = ENGINES.filter((name) => rows.some(({ engine }) => engine === name))
  return {
    title: 'Warm latency in ms: p50 / p95, one thread each; Workers over HTTP, Node called directly',
    head: ['model', 'input', ...engines.map((engine) => ENGINE_NAMES[engine])],
    rows: keys.map((key) => {
      const [model = '', size = ''] = key.split('\n')
      const cells = engines.map((engine) => {
        const found = rows.find((row) => row.model === model && row.size === size && row.engine === engine)
        return found ? `${milliseconds(found.time.p50)} / ${milliseconds(found.time.p95)}` : NONE
      })
      return [model, size, ...cells]
    }),
  }
}

function insideTable(rows: NonNullable<BenchResult['warm']>): Table {
  const measured = rows.filter(({ insideMs }) => insideMs !== null)
  return {
    title: "Runs inside the isolate, without HTTP: means in ms; the engines' WebAssembly memory after them in MB",
    head: ['model', 'input', 'way', 'run', 'memory'],
    rows: measured.map(({ engine, heapBytes, insideMs, model, size }) => [
      model,
      size,
      ENGINE_NAMES[engine],
      insideMs === null ? NONE : milliseconds(insideMs),
      heapBytes === null ? NONE : megabytes(heapBytes),
    ]),
  }
}

function largestTable(rows: NonNullable<BenchResult['largest']>): Table {
  return {
    title: 'An isolate that serves one large encoder, in MB; it may have 128',
    head: ['model', 'weights', 'linear memory', 'JavaScript', 'together', 'resident, more than before'],
    rows: rows.map((row) => [
      row.model,
      megabytes(row.weightsBytes),
      row.linearBytes.map(megabytes).join(', '),
      megabytes(row.heapBytes),
      megabytes(heldBytes(row)),
      megabytes(row.residentBytes),
    ]),
  }
}

function throughputTable(rows: NonNullable<BenchResult['throughput']>): Table {
  return {
    title: 'Throughput of one isolate, and latency of the answers in ms',
    head: ['model', 'request', 'way', 'callers', 'answers/s', 'p50', 'p95', 'p99', 'refused (429)', 'failed'],
    rows: rows.map(({ callers, load, model, request, way }) => [
      model,
      request,
      WAY_NAMES[way],
      String(callers),
      load.perSecond.toFixed(load.perSecond < 10 ? 1 : 0),
      milliseconds(load.p50),
      milliseconds(load.p95),
      milliseconds(load.p99),
      String(Math.round(load.refused)),
      String(Math.round(load.failed)),
    ]),
  }
}

function routerTable({ bodyBytes, connections, echo, identity, rounds }: NonNullable<BenchResult['router']>): Table {
  const side = (name: string, load: typeof echo): string[] => [
    name,
    String(Math.round(load.perSecond)),
    milliseconds(load.p50),
    milliseconds(load.p99),
    load.cpuMsEach.toFixed(2),
    `${Math.round(100 * load.clientBusy)} %`,
  ]
  return {
    title: `Router: ${connections} connections, bodies of ${bodyBytes} bytes (ratios of the rounds: ${rounds.map((ratio) => ratio.toFixed(2)).join(', ')})`,
    head: ['Worker', 'answers/s', 'p50 ms', 'p99 ms', 'CPU ms each', 'client busy'],
    rows: [side('bare Hono echo', echo), side('Verge, identity model', identity)],
  }
}

function callerTable({ rows }: NonNullable<BenchResult['callers']>): Table {
  return {
    title: 'One request to the identity model, by what its caller brings, in ms',
    head: ['caller brings', 'p50', 'p95', 'p50 beside nothing'],
    rows: rows.map(({ beside, caller, time }) => [
      caller,
      milliseconds(time.p50),
      milliseconds(time.p95),
      beside.toFixed(3),
    ]),
  }
}

function floodTable({ floods }: NonNullable<BenchResult['callers']>): Table {
  return {
    title: "A flood of requests that are refused, by CPU time of the Worker's process",
    head: ['credential', 'requests', 'refused', 'CPU ms each', 'beside a bare Hono Worker'],
    rows: floods.map(({ beside, cpuMsEach, credential, refused, requests }) => [
      credential,
      String(requests),
      String(refused),
      cpuMsEach.toFixed(3),
      beside.toFixed(3),
    ]),
  }
}

function protocolTable(rows: NonNullable<BenchResult['protocols']>): Table {
  return {
    title: 'One text to one model in each protocol, in ms; a writer is asked for one token',
    head: ['model', 'address', 'p50', 'p95', 'p50 beside /run'],
    rows: rows.map(({ address, beside, model, time }) => [
      model,
      address,
      milliseconds(time.p50),
      milliseconds(time.p95),
      beside.toFixed(2),
    ]),
  }
}

function telemetryTable({
  subrequestsInHundred,
  trial,
  withTelemetry,
  without,
}: NonNullable<BenchResult['telemetry']>): Table {
  const side = (name: string, { p50, p95 }: Summary, subrequests: string): string[] => [
    name,
    milliseconds(p50),
    milliseconds(p95),
    subrequests,
  ]
  return {
    title: 'One text to one model, in ms, and subrequests of metrics and traces',
    head: ['Worker', 'p50', 'p95', 'subrequests in 100 requests'],
    rows: [
      side('without metrics, canaries and traces', without, '0'),
      side('with all of them, one request in 100 traced', withTelemetry, subrequestsInHundred.toFixed(2)),
      ...(trial === undefined
        ? []
        : [
            side('without, a model with two versions', trial.without, '0'),
            side('with all, its canary on trial', trial.withTelemetry, trial.subrequestsInHundred.toFixed(2)),
          ]),
    ],
  }
}

function limitsTable({ callsInHundred, withLimits, without }: NonNullable<BenchResult['limits']>): Table {
  const side = (name: string, { p50, p95 }: Summary, calls: string): string[] => [
    name,
    milliseconds(p50),
    milliseconds(p95),
    calls,
  ]
  return {
    title: 'One text to one model, in ms, and calls of the ledger',
    head: ['caller', 'p50', 'p95', 'calls in 100 requests'],
    rows: [
      side('anonymous, of a Worker that limits and counts nothing', without, '0'),
      side('with a key, a rate and four budgets, counted', withLimits, callsInHundred.toFixed(2)),
    ],
  }
}

function wireTable({ binary, json }: NonNullable<BenchResult['wire']>): Table {
  const side = (name: string, { endToEnd, requestBytes, server }: typeof binary): string[] => [
    name,
    String(requestBytes),
    spread(endToEnd),
    milliseconds(endToEnd.p95),
    spread(server),
  ]
  return {
    title: '1 x 3 x 224 x 224 floats through an identity model, in ms',
    head: ['wire', 'request bytes', 'end to end p50 (spread)', 'p95', "without the client's own work"],
    rows: [side('binary', binary), side('JSON', json)],
  }
}

function spread({ mad, p50 }: Summary): string {
  return `${milliseconds(p50)} (${milliseconds(mad)})`
}

function milliseconds(value: number): string {
  if (Number.isNaN(value)) return NONE
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)
}

function megabytes(bytes: number): string {
  return (bytes / MB).toFixed(1)
}
