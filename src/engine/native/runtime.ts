// First: it has to be heard before the library is loaded.
import './quiet.ts'

export { InferenceSession, Tensor } from 'onnxruntime-node'
