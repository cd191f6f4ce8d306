import { Hono } from 'hono'

/** The least that an answer in JSON costs with the same router: what Verge's own routes are held against. */
const app = new Hono()
app.post('/echo', async (c) => c.json(await c.req.json()))

export default app
