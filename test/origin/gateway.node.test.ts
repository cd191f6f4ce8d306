import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { importKey } from '../../src/access/signature.ts'
import { silentLogger, systemClock } from '../../src/core/runtime.ts'
import { type Connection, gateway } from '../../src/origin/gateway.ts'
import { InFlight } from '../../src/origin/in-flight.ts'
import { OriginMetrics } from '../../src/origin/metrics.ts'
import { SignedRequests } from '../../src/origin/signed.ts'

async function setUp() {
  const work = new InFlight(systemClock)
  const metrics = new OriginMetrics(
    {
      queued: () => new Map(),
      sessions: () => ({ count: 0, bytes: 0 }),
      cacheBytes: () => 0,
      draining: () => work.draining,
      health: async () => ({ ok: true, engine: 'native', version: '1' }),
    },
    silentLogger,
  )
  const handle = gateway({
    signed: new SignedRequests([await importKey('k'.repeat(64))], systemClock),
    inFlight: work,
    metrics,
    clock: systemClock,
    logger: silentLogger,
    randomId: () => 'r-1',
    answer: () => new Response('answered'),
    health: () => new Response('well'),
  })
  /** A request whose connection stays open until the test ends it. */
  const ask = (path: string) => {
    const outgoing = Object.assign(new EventEmitter(), { writableFinished: true, statusCode: 503 })
    const connection = { incoming: { url: path }, outgoing } as unknown as Connection
    return { answer: handle(new Request(`http://origin${path}`), connection), close: () => outgoing.emit('close') }
  }
  return { ask, work }
}

describe('front', () => {
  it('counts what it answers until the connection is done with it, and nothing that asks for health', async () => {
    const { ask, work } = await setUp()
    const [run, probe] = [ask('/run/m'), ask('/v2/health/live')]
    expect((await run.answer).status).toBe(401)
    expect((await probe.answer).status).toBe(200)
    expect(work.count).toBe(1)
    run.close()
    probe.close()
    expect(work.count).toBe(0)
  })

  it('is drained when what was in work is done, however many come and are refused meanwhile', async () => {
    const { ask, work } = await setUp()
    const done = work.begin()
    let drained = false
    const draining = work.drain(600_000).then((whole) => {
      drained = whole
    })
    const late = ask('/run/m')
    expect((await late.answer).status).toBe(503)
    done()
    await new Promise((resolve) => setImmediate(resolve))
    expect(drained).toBe(true)
    await draining
    late.close()
    expect(work.count).toBe(0)
  })
})
