// First: it has to be heard before the library is loaded.
import './no-telemetry.ts'

export { InferenceSession, Tensor } from 'onnxruntime-node'
