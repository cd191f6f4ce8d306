/** The number of bytes of JSON at the start of a body; binary tensors follow it. Triton's name for it. */
export const JSON_LENGTH_HEADER = 'inference-header-content-length'

/** The extension by which a server says that it takes and sends binary tensors. */
export const BINARY_EXTENSION = 'binary_tensor_data'

/** Binary data that begin at a multiple of this, the widest element, can be read where they lie. */
export const TENSOR_ALIGNMENT = 8
