import type { Engine, Session } from '../../src/engine/engine.ts'
import { artifactOf, never, sourceOf } from '../../synthetic/source.ts'

/** Pieces in which an origin's cache delivers weights, about. */
const PIECE_BYTES = 4 * 2 ** 20

/** Loads a model for as long as the work lasts. */
export async function withModel<T>(
  engine: Engine,
  subject: { readonly bytes: () => Promise<Uint8Array> },
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const bytes = await subject.bytes()
  const session = await engine.load(await artifactOf(bytes), sourceOf(bytes, PIECE_BYTES), { signal: never() })
  try {
    return await work(session)
  } finally {
    session.dispose()
  }
}
