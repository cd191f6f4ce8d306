import { type Address, works } from '../address.ts'

export const oipAddresses: readonly Address[] = [
  works('GET', '/v2', 'always', 'Name, version and extensions of the server'),
  works('GET', '/v2/health/live', 'always', 'Whether the server is live'),
  works('GET', '/v2/health/ready', 'always', 'Whether the server is ready'),
  works('POST', '/v2/repository/index', 'always', 'Models and versions'),
  works('GET', '/v2/models/{model}', 'always', 'Names, datatypes and shapes of inputs and outputs'),
  works('GET', '/v2/models/{model}/ready', 'always', 'Whether a model is ready'),
  works('POST', '/v2/models/{model}/infer', 'always', 'Runs a model on tensors, in JSON or binary'),
  works('POST', '/v2/models/{model}/generate', 'always', "A prompt continued: Triton's generate extension"),
  works('POST', '/v2/models/{model}/generate_stream', 'always', 'The same as a stream of events'),
  works('GET', '/v2/models/{model}/config', 'always', "The model's configuration, as Triton writes it"),
  works('GET', '/v2/models/{model}/stats', 'always', 'What the model has done in this process, for the operator'),
  works(
    'POST',
    '/v2/repository/models/{model}/load',
    'always',
    'Loads and pins a model in this process, for the operator',
  ),
  works('POST', '/v2/repository/models/{model}/unload', 'always', "Lets a model's weights go, for the operator"),
  works('GET', '/v2/models/{model}/versions/{version}', 'always', 'The same of one version'),
  works('GET', '/v2/models/{model}/versions/{version}/ready', 'always', 'The same of one version'),
  works('POST', '/v2/models/{model}/versions/{version}/infer', 'always', 'The same of one version'),
  works('POST', '/v2/models/{model}/versions/{version}/generate', 'always', 'The same of one version'),
  works('POST', '/v2/models/{model}/versions/{version}/generate_stream', 'always', 'The same of one version'),
  works('GET', '/v2/models/{model}/versions/{version}/config', 'always', 'The same of one version'),
  works('GET', '/v2/models/{model}/versions/{version}/stats', 'always', 'The same of one version'),
]
