import { type Address, works } from '../address.ts'

/** Verge's own. */
export const vergeAddresses: readonly Address[] = [
  works('GET', '/', 'always', 'Name, version and links; the page for browsers'),
  works('GET', '/operate', 'always', 'The page for operators, in browsers'),
  works('GET', '/healthz', 'always', 'Health of the engine'),
  works('GET', '/metrics', 'always', 'What all isolates have counted, for Prometheus'),
  works('POST', '/run/{model}', 'always', 'Runs a task'),
  works('GET', '/stream/{model}', 'always', 'A WebSocket for voice activity detection'),
  works('GET', '/models', 'always', 'The models that the caller may see'),
  works('GET', '/models/{model}', 'always', 'One model, with a request that works'),
  works('POST', '/rerank', 'always', 'Sorts texts by their relevance to a query'),
  works('POST', '/v1/rerank', 'always', 'The same', 'openai'),
  works('GET', '/explain/{model}', 'always', 'Where a request would run now, and why'),
  works('GET', '/store', 'always', 'The catalogue, for origins'),
  works('GET', '/store/{key...}', 'always', 'One object of the catalogue, for origins'),
  works('GET', '/browser/{model}', 'always', 'What a browser needs to run a downloadable model'),
  works('GET', '/weights/{model}/{sha256}', 'always', "A chunk of such a model's weights"),
  works('POST', '/v1/tokens', 'always', 'Mints a token for a page, by a key that may'),
  works('GET', '/v1/usage', 'always', 'What the caller has used, by day or model'),
  works('GET', '/v1/usage/principals', 'always', 'Whose usage there is, for the operator'),
  works('GET', '/v1/operations', 'always', 'Health, traffic, cost and changes of all isolates, for the operator'),
  works('GET', '/v1/releases/{model}', 'always', "A model's release and what was seen of its canary, for the operator"),
  works('POST', '/v1/releases/{model}/probes', 'always', 'Times of both versions that a probe has measured'),
  works('GET', '/openapi.json', 'always', 'Every route, with schemas and examples'),
]
