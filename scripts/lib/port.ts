import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

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
