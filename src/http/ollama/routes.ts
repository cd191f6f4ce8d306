import { Hono } from 'hono'
import type { AppDeps, AppEnv } from '../app-env.ts'
import { openAiRoutes } from '../openai/routes.ts'
import { embed, embeddings } from './embedding.ts'
import { chat, generate } from './generation.ts'
import { listModels, loadedModels, showModel } from './models.ts'

/** Ollama's API, by the paths that its clients ask for. */
export function ollamaRoutes(deps: AppDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  // Programs look here whether a server is one of Ollama's.
  app.get('/', (c) => c.text('Ollama is running'))
  app.post('/api/chat', (c) => chat(deps, c))
  app.post('/api/generate', (c) => generate(deps, c))
  app.post('/api/embed', (c) => embed(deps, c))
  app.post('/api/embeddings', (c) => embeddings(deps, c))
  app.get('/api/tags', (c) => listModels(deps, c))
  app.post('/api/show', (c) => showModel(deps, c))
  app.get('/api/ps', (c) => loadedModels(deps, c))
  app.get('/api/version', (c) => c.json({ version: deps.config.version }))
  app.route('/', openAiRoutes(deps))
  return app
}
