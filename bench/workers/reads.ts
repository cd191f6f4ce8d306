/** The same reads of KV as a request to Verge makes, and nothing else: what the reading itself costs. */
export default {
  async fetch(request, { KV }): Promise<Response> {
    const keys = await request.json<string[]>()
    for (const key of keys) {
      const { value } = await KV.getWithMetadata(key, { type: 'stream', cacheTtl: 60 })
      const reader = value?.getReader({ mode: 'byob' })
      let buffer = new ArrayBuffer(64 * 1024)
      for (;;) {
        const read = await reader?.read(new Uint8Array(buffer))
        if (read === undefined || read.done) break
        buffer = read.value.buffer
      }
    }
    return new Response('read')
  },
} satisfies ExportedHandler<{ readonly KV: KVNamespace }>
