import type { Command } from '../../cli/command.ts'
import { INSTALLED, ORIGIN_COMMAND } from '../../cli/files/project.ts'
import { UsageError } from '../../cli/terminal/command-line.ts'
import { jsonLogger } from '../logger.ts'
import { startOrigin } from '../origin.ts'
import { OPTIONS, OPTIONS_HELP, readOptions } from './options.ts'
import { type OriginSource, openSource, type SourceOptions } from './source.ts'
import { terminalLogger } from './terminal-log.ts'

const HELP = `Runs an origin: a server for models that do not fit the edge. Workers whose ORIGINS names it forward requests
to it (docs/origin/configure.md).

Usage: ${ORIGIN_COMMAND}${INSTALLED ? '' : ' --'} [options]

${OPTIONS_HELP}

Environment variables set the same options: VERGE_ORIGIN_MAX_BATCH for --max-batch. OTEL_EXPORTER_OTLP_ENDPOINT names the
collector of traces.`

/** Ctrl-C reaches a whole process group, and the parent may forward it too. Both count as one signal. */
const SAME_SIGNAL_MS = 500

/** `npm run origin` in the repository, `verge origin` in an application. */
export const originCommand: Command = { help: HELP, options: OPTIONS, operands: [], run }

async function run(args: readonly string[]): Promise<string> {
  const options = await readOptions(args, process.env, process.stdout.isTTY)
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
  // Open handles, such as a connection to a store, must not delay the exit.
  process.exit(0)
}

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
  if (code === 'EADDRINUSE') throw new UsageError('A port is in use. Choose other ports with --port and --admin-port.')
  if ((code === 'EACCES' && syscall === 'listen') || code === 'EADDRNOTAVAIL')
    throw new UsageError(
      `This machine does not allow listening at this address (${code}). Choose another --host or --port.`,
    )
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    throw new UsageError(
      'The disk of --cache is full. Free some space, or choose a folder on another disk: --cache DIR.',
    )
  }
  if (code === 'EROFS' || code === 'EPERM' || code === 'EACCES') {
    throw new UsageError(`The folder of --cache cannot be written (${code}). Choose another folder: --cache DIR.`)
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
