import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { UsageError } from './command-line.ts'

/** Whether nothing listens on the port of this machine's loopback address. @throws other failures to listen */
export async function isFree(port: number): Promise<boolean> {
  return (await tryListen(port)) !== null
}

/** A port that nothing listens on. */
export async function freePort(): Promise<number> {
  const port = await tryListen(0)
  if (port === null) throw new Error('no free port')
  return port
}

async function tryListen(port: number): Promise<number | null> {
  const server = createServer()
  try {
    server.listen({ port, host: '127.0.0.1', exclusive: true })
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return null
    throw error
  } finally {
    server.close()
  }
}

/** Where Verge listens on this machine unless told otherwise. */
const DEFAULT_PORT = 8787

/** The port from the option, `PORT`, or the default. @throws UsageError if it is not a port */
export function parsePort(text = process.env.PORT): number {
  if (text === undefined || text === '') return DEFAULT_PORT
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new UsageError(`"${text}" is not a port.`)
  return port
}
