/**
 * ONNX Runtime's builds since 1.30 send usage figures to their maker unless the environment says otherwise when the
 * library is loaded. Nobody who runs a model here has asked for that.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1'
