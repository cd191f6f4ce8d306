import { runScript, UsageError } from '../../cli/terminal/command-line.ts'
import { jsonLogger } from '../logger.ts'
import { startOrigin } from '../origin.ts'
import { readOptions } from './options.ts'
import { type OriginSource, openSource, type SourceOptions } from './source.ts'
import { terminalLogger } from './terminal-log.ts'

const HELP = `Runs an origin: a server on a larger machine that runs models which do not fit the edge. Workers send it what
they do not run themselves (ORIGINS; docs/origin/configure.md).

Usage: npm run origin -- [options]

  --from WHERE          catalogue and weights (default: http://127.0.0.1:8787):
                          https://worker   a Worker whose ORIGINS names this origin
                          s3://bucket      R2, by its S3 API: R2_ENDPOINT or CLOUDFLARE_ACCOUNT_ID, R2_ACCESS_KEY_ID
                                           and R2_SECRET_ACCESS_KEY in the environment
                          DIR              a folder of model folders, each with a verge.json
  --models a,b          serve these models alone (default: all of the catalogue)
  --preload a,b         have these in memory before saying that it is ready

  --port N              for Workers (default: 8788)
  --host ADDRESS        (default: 127.0.0.1; 0.0.0.0 for all addresses)
  --admin-port N        /livez, /readyz and /metrics, without a key (default: 8789)
  --admin-host ADDRESS  (default: 127.0.0.1)
  --key-file FILE       keys that requests may be signed with, one a line (default: VERGE_ORIGIN_KEY, separated by commas;
                        else .verge/origin.key, which npm start shares)

  --providers a,b       cuda, webgpu, cpu: the first that runs is used (default: cuda,webgpu,cpu)
  --threads N           within one operator (default: all cores)
  --memory-gb N         of all loaded models; those used longest ago go (default: 60 % of the machine's)
  --max-batch N         rows that are run together at most; 1: none (default: 32)
  --max-wait-ms N       how long a run may wait for others at most (default: 2)
  --max-queue N         runs that may wait for one model; more are refused (default: 128)
  --max-cost N          units that the runs of one request may cost together; texts are
                        bounded by their model's context instead (default: 1000000)

  --cache DIR           artifacts by digest, and the last good copy of the catalogue (default: .verge/origin-cache)
  --cache-gb N          the most that artifacts may take there (default: 20)
  --drain-seconds N     after SIGTERM, what is in work may take this long (default: 30)
  --log-level LEVEL     debug, info, warn, error, silent (default: info)
  --log-format FORMAT   lines for people, or json, an object a line (default: lines on a terminal, else json)
  --help                this text

Every option can be set in the environment instead: VERGE_ORIGIN_MAX_BATCH for --max-batch.`

/** Ctrl-C reaches a whole process group, and whoever started this one may pass it on besides: that is still one signal. */
const SAME_SIGNAL_MS = 500

await runScript(HELP, async () => {
  const options = await readOptions(process.argv.slice(2), process.env, process.stdout.isTTY)
  if (options === undefined) return HELP
  const logger =
    options.logFormat === 'json'
      ? jsonLogger(options.logLevel)
      : terminalLogger({
          level: options.logLevel,
          write: (line) => console.log(line),
          time: () => new Date().toTimeString().slice(0, 8),
        })
  const asked = untilAsked()
  const source = await opened({
    from: options.from,
    key: options.keys[0] ?? '',
    cacheFolder: options.cacheFolder,
    environment: process.env,
    progress: (line) => logger.info('packed', { model: line }),
  })
  try {
    const origin = await startOrigin({ ...options, source: source.store }, logger).catch(understandable)
    origin.ready
      .then(() => source.announce?.())
      .then(
        () => source.announce && logger.info('origin_announced'),
        // the Worker finds out by itself, a little later
        () => {},
      )
    logger.info('origin_draining', { signal: await asked })
    logger.info('origin_stopped', { finished: await origin.drain() })
    await origin.close()
  } finally {
    await source.dispose()
  }
  // What is left, such as a connection to a store, must not hold up the end.
  process.exit(0)
})

function opened(options: SourceOptions): Promise<OriginSource> {
  return openSource(options).catch(understandable)
}

/** A first signal drains, a second one ends at once. */
function untilAsked(): Promise<string> {
  return new Promise((resolve) => {
    let first: number | undefined
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        first ??= performance.now()
        if (performance.now() - first > SAME_SIGNAL_MS) process.exit(1)
        resolve(signal)
      })
    }
  })
}

function understandable(error: NodeJS.ErrnoException): never {
  const { code, syscall } = systemErrorIn(error)
  if (code === 'EADDRINUSE') throw new UsageError('A port is in use. Choose others by --port and --admin-port.')
  if ((code === 'EACCES' && syscall === 'listen') || code === 'EADDRNOTAVAIL')
    throw new UsageError(`This machine does not let it listen there (${code}).`)
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    throw new UsageError(
      'The disk that --cache is on is full. Make room there, or choose a folder on another: --cache DIR.',
    )
  }
  if (code === 'EROFS' || code === 'EPERM' || code === 'EACCES') {
    throw new UsageError(`The folder of --cache cannot be written to (${code}). Choose another: --cache DIR.`)
  }
  throw error
}

/** A store that could not write says so, and why only in its cause. */
function systemErrorIn(error: NodeJS.ErrnoException): NodeJS.ErrnoException {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { code, syscall } = cause as NodeJS.ErrnoException
    if (code !== undefined && syscall !== undefined) return cause
  }
  return error
}
