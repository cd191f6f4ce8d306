/** Version of the onnxruntime-web that package.json pins. */
export const ORT_VERSION = '1.30.0'
