import * as z from 'zod'

/**
 * Bytes of the Worker's scripts, all together. An isolate parses them each time it starts; 13 KB of them are one string, and
 * 130 KB are for keys, tokens, sign-in, limits, usage and signatures. 120 KB are traces, which are parsed by all and evaluated
 * where they are configured. 22 KB are checks of what an isolate of another version may report, comparisons of written texts, and
 * single isolates.
 */
export const TOTAL_BYTES = 2_610_000
/** The same scripts as gzip's default level leaves them: what is uploaded and stored. */
export const TOTAL_GZIP_BYTES = 668_000

/**
 * Bytes that each room of the Worker may add to its scripts: a folder or a file of `src/`, or a package. Each is the size
 * that the room had, and room for a few hundred lines. Raise one in the commit that needs it, and say why there.
 */
export const BUDGETS: Readonly<Record<string, number>> = {
  // Of it 20 KB compile tokenizers, of models that were stored without their compiled form.
  'src/media': 312_000,
  // Of it 14 KB are sparse and token vectors, and what compares and writes them, 25 KB masks, cut-outs and depth maps, and
  // 15 KB the scores, labels and tokens that protocols share.
  'src/tasks': 268_000,
  // Of it 12 KB are the client, as /client.js answers it, and 120 KB the protocols of other services.
  // Of it 3 KB are headers of limits, bounds of plans, and explanations of both; 3 KB tell of releases, metrics and operations.
  'src/http': 260_000,
  'src/placement': 98_000,
  // Of it 120 KB are Verge's own engine: operators with their checks, of whole numbers too, and tables in pages (13 KB).
  'src/engine': 186_000,
  'src/core': 73_000,
  // Of it 3 KB pay for runs and texts before they are made, and 1 KB are spans of texts that an engine writes.
  'src/serving': 45_000,
  // Of it 9 KB are signatures of releases, and what remembers generations; 34 KB are the index of lists: who reads it, and who
  // writes it behind the cron trigger, which reads stored aliases as the commands do.
  'src/catalog': 100_000,
  // Of it 4 KB are limits: admission, bounds of a plan, cheaper models; 3 KB mint browser tokens; 10 KB compare canaries, 3 KB
  // of them written texts.
  'src/inference': 51_000,
  'src/protocols': 110_000,
  'src/generate': 28_000,
  // Of it 6 KB are Workers AI's binding.
  'src/rpc': 34_000,
  'src/stream': 25_000,
  // Of it 8 KB read pages of embedding tables, by bulk reads of KV and by ranges of R2.
  'src/weights': 37_000,
  'src/sessions': 16_000,
  // Of it 21 KB are grants, and keys: their form, their records, who has them and how often wrong ones are tried; 9 KB are
  // browser tokens; 20 KB verify the tokens of a sign-in, and read its rules.
  'src/access': 80_000,
  // Plans, what isolates lease of the ledger of rates and budgets, that ledger (16 KB), and what callers use (32 KB).
  'src/metering': 76_000,
  // What an operator is told: reads of each part, the thresholds of alerts, and the audit log behind recent changes.
  'src/operations': 26_000,
  'src/audit': 12_000,
  'src/assemble': 21_000,
  'src/worker.ts': 5_000,
  // Moves CPU time from the first request, which is billed, to the start-up (decision 15).
  'src/rehearsal': 13_000,
  // Of it 2 KB are the address and the headers of a collector.
  'src/config': 20_000,
  // The Durable Objects behind signed releases and behind canaries: 20 KB weigh what isolates have seen of a canary, and 2 KB
  // leave out what none can have seen.
  'src/releases': 30_000,
  // Traces: what makes spans of a request, its stores, catalogue and engine, and what exports them.
  // Metrics, 36 KB: the table of them, what counts and hands over, the Durable Objects, and the texts that scrapers read.
  'src/telemetry': 62_000,
  'src/app.ts': 4_000,
  'src/version.ts': 1_000,
  // Schemas, their messages, and the JSON Schema that /openapi.json is made of. `import { z }` would add all locales.
  zod: 225_000,
  // Chat templates of models that write texts; one file, of which esbuild can leave nothing out.
  '@huggingface/jinja': 108_000,
  hono: 65_000,
  // Reads and writes the structured fields of signatures (RFC 9421).
  'structured-headers': 18_000,
  // Signs and verifies browser tokens and tokens of sign-in (RFC 7515, 7519).
  jose: 45_000,
  // Emscripten's JavaScript around ONNX Runtime. The WebAssembly beside it is not counted here.
  'onnxruntime-web': 40_000,
  '@huggingface/tokenizers': 24_000,
  // Records spans, continues traces of W3C's headers and writes OTLP. Of the interface everything comes along. The newest of
  // these that Node 20 installs without a warning: from 3 on they want Node 22.
  '@opentelemetry/api': 63_000,
  '@opentelemetry/core': 18_000,
  '@opentelemetry/otlp-transformer': 10_000,
  '@opentelemetry/resources': 6_000,
  '@opentelemetry/sdk-trace': 35_000,
  '@opentelemetry/semantic-conventions': 2_000,
}

const metafileSchema = z.object({
  outputs: z.record(
    z.string(),
    z.object({ bytes: z.number(), inputs: z.record(z.string(), z.object({ bytesInOutput: z.number() })) }),
  ),
})

/** Bytes of each room in a bundle's scripts. @param metafile as esbuild writes it */
export function bytesByRoom(metafile: unknown): Map<string, number> {
  const rooms = new Map<string, number>()
  for (const [name, { inputs }] of Object.entries(metafileSchema.parse(metafile).outputs)) {
    if (!name.endsWith('.js')) continue
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      if (bytesInOutput === 0) continue
      const room = roomOf(path)
      rooms.set(room, (rooms.get(room) ?? 0) + bytesInOutput)
    }
  }
  return rooms
}

/** What a bundle has too much of, a line each. */
export function overBudget(rooms: ReadonlyMap<string, number>, budgets: Readonly<Record<string, number>>): string[] {
  const found: string[] = []
  for (const [room, bytes] of rooms) {
    const budget = budgets[room]
    if (budget === undefined) {
      found.push(
        `${room} adds ${bytes} bytes to the Worker and has no budget: add one to scripts/checks/bundle-budget.ts`,
      )
    } else if (bytes > budget) found.push(`${room} adds ${bytes} bytes to the Worker; its budget is ${budget}`)
  }
  return found
}

/** `src/<room>`, or the package that a module came from. */
function roomOf(path: string): string {
  const inPackage = path.split('node_modules/').at(-1) ?? path
  if (inPackage !== path) {
    const [first = '', second = ''] = inPackage.split('/')
    return first.startsWith('@') ? `${first}/${second}` : first
  }
  const [, room = path] = /(?:^|\/)(src\/[^/]+)/.exec(path) ?? []
  return room
}
