import type { Tracer } from '../../core/tracing.ts'
import type { ArtifactInfo, Engine, Session, SharedTurn } from '../../engine/engine.ts'

/**
 * An engine whose loads and runs are spans: of a run, the wait for its turn and the batch that it was part of are pieces. The
 * span of a text that is written token by token is of who reads it: see serving/text-span.ts.
 */
export function tracedEngine(engine: Engine, tracer: Tracer): Engine {
  return {
    name: engine.name,
    supports: (artifact) => engine.supports(artifact),
    health: () => engine.health(),
    load: (artifact, source, context) =>
      tracer.span(
        'load',
        { 'verge.artifact.format': artifact.format, 'verge.artifact.bytes': artifact.bytes },
        async () => tracedSession(await engine.load(artifact, source, context), artifact, tracer),
      ),
  }
}

function tracedSession(session: Session, { format }: ArtifactInfo, tracer: Tracer): Session {
  const generate = session.generate?.bind(session)
  return {
    get signature() {
      return session.signature
    },
    get bytes() {
      return session.bytes
    },
    get alive() {
      return session.alive
    },
    ...(session.generatesByRuns !== undefined && { generatesByRuns: session.generatesByRuns }),
    dispose: () => session.dispose(),
    run: (inputs, options) =>
      tracer.span('run', { 'verge.artifact.format': format }, async (span) => {
        if (span === undefined) return session.run(inputs, options)
        const asked = tracer.now()
        let turn = asked
        let batch: SharedTurn | undefined
        const outputs = await session.run(inputs, {
          ...options,
          onTurn: (together) => {
            turn = tracer.now()
            batch = together
            options.onTurn?.(together)
          },
        })
        span.part('queue', {}, asked, turn)
        if (batch !== undefined) {
          span.part('batch', { 'verge.batch.rows': batch.rows, 'verge.batch.runs': batch.runs }, turn, tracer.now())
        }
        return outputs
      }),
    ...(generate && { generate }),
  }
}
