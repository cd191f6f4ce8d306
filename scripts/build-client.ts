/**
 * Builds the client of `src/client` into the module that the Worker answers `/client.js` from. The module is kept in the
 * repository, so that a fresh clone builds nothing; a test compares it with what this writes.
 */
import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { buildClient, CLIENT_MODULE, clientModule } from './client/build.ts'

const script = await buildClient()
writeFileSync(CLIENT_MODULE, clientModule(script))
process.stdout.write(`${CLIENT_MODULE}: ${script.length} bytes, ${gzipSync(script).length} in gzip\n`)
