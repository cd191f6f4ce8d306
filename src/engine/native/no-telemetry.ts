/**
 * ONNX Runtime's builds since 1.30 send telemetry to their vendor unless an environment variable disables it when the
 * library is loaded. Verge disables it, because the person did not opt in.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1'
