/**
 * How many files a request runs through, and how often it returns upwards. `node bench/request-path.ts` prints the
 * counts of three warm requests; `--files` lists the files, `--json` prints everything as JSON.
 *
 * The Worker's own entry, `src/worker.ts`, is loaded into Node with its configuration: R2 and KV in memory, the models
 * that ship, the WebAssembly engine, and one origin that signs by HMAC. Each request is made twice. The second, warm one
 * is measured:
 *
 * - **Files.** V8's precise coverage lists the functions that ran. A file counts if one of its named functions ran.
 *   Anonymous ones (most middlewares and route handlers) do not count by themselves, nor do the entry and `app.ts`.
 * - **Returns upwards.** A room is here a folder of `src/`. A call returns upwards if the function that runs lies in a
 *   room above the caller's: one that may import the caller's room, directly or through others, and not the reverse
 *   (`scripts/checks/import-rules.ts`). That is a callback which a higher room gave to a lower one. Each pair of rooms
 *   counts once. `core`, the entry and `app.ts` are transparent: a call through them counts for the room that called
 *   them, as a call through `Array.map` does. The helpers of `core` take functions and know no rooms, and the entry
 *   hands one room's functions to another. An observer, a callback of an object's field `on...`, is told of something and
 *   does not count. A continuation after an `await` is no call.
 */
import { parseArgs } from 'node:util'
import { measurePaths } from './lib/request-path.ts'

const { values } = parseArgs({ options: { files: { type: 'boolean' }, json: { type: 'boolean' } } })
const paths = await measurePaths()
if (values.json) console.log(JSON.stringify(paths))
else {
  for (const { name, files, functions, returns } of paths) {
    console.log(`${name}: ${files.length} files, ${functions} functions, ${returns.length} returns upwards`)
    for (const each of returns) console.log(`  up  ${each}`)
    if (values.files) for (const file of files) console.log(`  ${file}`)
  }
}
