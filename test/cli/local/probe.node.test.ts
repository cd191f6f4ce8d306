import { describe, expect, it } from 'vitest'
import type { Manifest } from '../../../src/catalog/manifest.ts'
import { essenceOf, madeUpProbes, probeFor } from '../../../src/cli/local/probe.ts'
import { LIMITS } from '../../../src/core/limits.ts'
import { decodeAudio } from '../../fixtures/all-at-once.ts'

describe('probes', () => {
  const base = { schema: 1, model: 'm', version: '1', artifacts: [] } satisfies Partial<Manifest>

  it('ask raw models with zeros of the right shape and type', async () => {
    const manifest: Manifest = {
      ...base,
      inputs: [
        { name: 'x', datatype: 'FP32', shape: ['n', 2] },
        { name: 'words', datatype: 'BYTES', shape: [-1] },
        { name: 'flag', datatype: 'BOOL', shape: [] },
      ],
      outputs: [],
    }
    const probe = await probeFor(manifest, import.meta.dirname)
    expect(probe?.path).toBe('/v2/models/m/infer')
    expect(JSON.parse(String(probe?.body))).toEqual({
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [1, 2], data: [0, 0] },
        { name: 'words', datatype: 'BYTES', shape: [1], data: [''] },
        { name: 'flag', datatype: 'BOOL', shape: [], data: [false] },
      ],
    })
  })

  it('ask raw models whose dimensions are open in several plausible sizes, with a rate where one is wanted', () => {
    const inputs: Manifest['inputs'] = [
      { name: 'input', datatype: 'FP32', shape: [-1, -1] },
      { name: 'state', datatype: 'FP32', shape: [2, -1, 4] },
      { name: 'sr', datatype: 'INT64', shape: [] },
    ]
    const bodies = madeUpProbes({ ...base, inputs, outputs: [] }).map(({ body }) => JSON.parse(String(body)).inputs)
    expect(bodies.map(([input]) => input.shape)).toEqual([16, 1, 32, 64, 128, 2, 512, 576].map((length) => [1, length]))
    for (const [, state, rate] of bodies) {
      expect(state).toEqual({ name: 'state', datatype: 'FP32', shape: [2, 1, 4], data: Array(8).fill(0) })
      expect(rate).toEqual({ name: 'sr', datatype: 'INT64', shape: [], data: [16_000] })
    }
    const lines = madeUpProbes({
      ...base,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 1, -1, -1] }],
      outputs: [],
    })
    expect(lines.map(({ body }) => JSON.parse(String(body)).inputs[0].shape)).toContainEqual([1, 1, 32, 128])
  })

  it('ask language models for a text: in a chat where they take one', async () => {
    const blob = { sha256: '0'.repeat(64), bytes: 1, chunks: [] }
    const artifacts: Manifest['artifacts'] = [{ ...blob, id: 'a', format: 'onnx', dtype: 'fp32', places: ['origin'] }]
    const manifest: Manifest = { ...base, task: 'text-generation', inputs: [], outputs: [], artifacts }
    const plain = await probeFor(manifest, import.meta.dirname)
    expect(plain?.path).toBe('/v1/completions')
    expect(JSON.parse(String(plain?.body))).toMatchObject({ model: 'm', prompt: expect.any(String) })
    for (const chatting of [
      { ...manifest, files: { 'chat_template.jinja': blob } },
      { ...manifest, artifacts: [] },
    ]) {
      const probe = await probeFor(chatting, import.meta.dirname)
      expect(probe?.path).toBe('/v1/chat/completions')
      expect(JSON.parse(String(probe?.body))).toMatchObject({ model: 'm', messages: [{ role: 'user' }] })
    }
    expect(essenceOf({ choices: [{ message: { content: '85' } }] })).toBe('85')
    expect(essenceOf({ choices: [{ text: '86' }] })).toBe('86')
    expect(essenceOf([{ label: '7' }])).toEqual([{ label: '7' }])
  })

  it('show the digits of a score that mean something, and whole numbers whole', () => {
    const answer = {
      scores: [0.9998741149902344, 1.1920928955078125e-7],
      total: 1_234_567,
      text: '0.123456789',
      ok: true,
    }
    expect(essenceOf(answer)).toEqual({ scores: [0.9999, 1.192e-7], total: 1_234_567, text: '0.123456789', ok: true })
  })

  it('ask models of sounds with a sound that Wav2Vec2 can take', async () => {
    const manifest: Manifest = { ...base, task: 'audio-classification', inputs: [], outputs: [] }
    const probe = await probeFor(manifest, import.meta.dirname)
    const { inputs } = JSON.parse(String(probe?.body)) as { inputs: string }
    for (const [sampleRate, least] of [
      [16_000, 400],
      [8_000, 400],
    ] as const) {
      const samples = decodeAudio(Buffer.from(inputs, 'base64'), { sampleRate, normalize: false }, LIMITS)
      expect(samples.length).toBeGreaterThanOrEqual(least)
      expect(Math.max(...samples)).toBeGreaterThan(0.5)
      expect(Math.min(...samples)).toBeLessThan(-0.5)
    }
  })

  it('leave models with enormous inputs alone', async () => {
    const inputs: Manifest['inputs'] = [{ name: 'x', datatype: 'FP32', shape: [1, 3, 4096, 4096] }]
    expect(await probeFor({ ...base, inputs, outputs: [] }, import.meta.dirname)).toBeNull()
  })
})
