import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { assertData } from '../../../src/cli/accuracy/held-out.ts'
import { measureAccuracy } from '../../../src/cli/accuracy/measure.ts'
import { ROOT } from '../../../src/cli/files/project.ts'

describe('measuring accuracy', () => {
  it('counts right answers, and asks again after 429', async () => {
    let refused = false
    const server = createServer((request, response) => {
      let text = ''
      request.on('data', (piece) => {
        text += piece
      })
      request.on('end', () => {
        if (text === 'b' && !refused) {
          refused = true
          response.writeHead(429, { 'retry-after': '0' }).end('{}')
          return
        }
        response.end(JSON.stringify([{ label: text === 'd' ? 'x' : text }]))
      })
    }).listen(0)
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/run/m`
    const samples = ['a', 'b', 'c', 'd'].map((body) => ({ body, contentType: 'text/plain', label: body }))
    try {
      const result = await measureAccuracy(url, samples, { concurrency: 2 })
      expect(result).toMatchObject({ right: 3, count: 4, refusals: 1 })
      expect(result.latencies.length).toBe(3)
    } finally {
      server.close()
    }
  })

  it('stops at a failure, with what the server said', async () => {
    const server = createServer((_, response) => response.writeHead(500).end('out of order')).listen(0)
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    try {
      await expect(
        measureAccuracy(url, [{ body: 'a', contentType: 'text/plain', label: 'a' }], { concurrency: 1 }),
      ).rejects.toThrow(/HTTP 500: out of order/)
    } finally {
      server.close()
    }
  })
})

it('accuracy without data says what to bring, before it starts anything', async () => {
  const command = [join(ROOT, 'scripts/accuracy.ts'), '--data', '/no/such/folder']
  const failure = await promisify(execFile)(process.execPath, command, { cwd: ROOT }).catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 1, stdout: '' })
  const { stderr } = failure as { stderr: string }
  for (const part of ['mnist-8000-images', 'imdb-train.jsonl.gz', '--data DIR', 'models/digits/README.md']) {
    expect(stderr).toContain(part)
  }
  expect(stderr).not.toMatch(/\n\s+at /)
  expect(() => assertData('/no/such/folder', [])).not.toThrow()
})
