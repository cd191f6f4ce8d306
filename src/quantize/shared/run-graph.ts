import { toHex } from '../../core/bytes.ts'
import type { ArtifactInfo, ByteSource, Engine, Session } from '../../engine/engine.ts'
import { encodeModel } from '../../onnx/codec.ts'
import type { ModelProto } from '../../onnx/schema/onnx_pb.js'

/** A session of a model that is in memory. The caller disposes of it. */
export async function loadGraph(engine: Engine, model: ModelProto, signal: AbortSignal): Promise<Session> {
  const bytes = encodeModel(model)
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  const sha256 = toHex(digest)
  const artifact: ArtifactInfo = { sha256, format: 'onnx', bytes: bytes.length }
  const source: ByteSource = { bytes: bytes.length, deliver: async (write) => write(0, bytes) }
  return engine.load(artifact, source, { signal })
}
