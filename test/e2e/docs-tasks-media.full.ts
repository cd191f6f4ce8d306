import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../src/cli/files/project.ts'
import { decodeImage } from '../../src/media/image/decode.ts'
import { sine, wav } from '../../synthetic/wav.ts'
import {
  brightnessModel,
  coloursModel,
  faceModel,
  featuresModel,
  keywordsModel,
  loudnessModel,
} from '../fixtures/docs-models.ts'
import { documentedJson, expectLike, nth, readPage } from '../fixtures/node/docs.ts'
import { type DocsWorker, type Model, startDocsWorker } from '../fixtures/node/docs-worker.ts'
import { haveRealModels, REAL_MODELS, REAL_SAMPLES, SKIP_REASON } from '../fixtures/node/real-models.ts'

if (!haveRealModels) {
  console.warn(`SKIPPED: what image.md and audio.md say of real models is not tested, because ${SKIP_REASON}`)
}

const KEY = 'a-key-for-the-pages-0123456789'
const audio = readPage('audio')
const image = readPage('image')

const [keywords = '', heard = '', vad = '', segments = ''] = audio.blocks('json')
const [classes = '', named = '', detection = '', faces = '', features = '', vector = '', larger = ''] =
  image.blocks('json')

/** Four tones with silences between them: as many segments as the page prints. */
const TONES = Int16Array.from(
  Array.from({ length: 4 }, () => [...new Float64Array(8000), ...sine(440, 0.6, 16_000, 0.9)]).flat(),
  (sample) => sample * 32_767,
)

interface Sounding {
  onsamples?: (samples: Int16Array) => void
}

async function publishPictures(docs: DocsWorker, real: boolean): Promise<void> {
  const or = (folder: string, model: () => Model): Model => (real ? join(REAL_MODELS, folder) : model())
  const synset = (): string[] =>
    readFileSync(join(REAL_MODELS, 'mobilenetv2-12-int8/synset.txt'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.replace(/^n\d+ /, '').replace(/,.*/, ''))
  await docs.publish(classes, or('mobilenetv2-12-int8', coloursModel), {
    name: 'mobilenet',
    ...(real && { labels: synset() }),
  })
  await docs.publish(detection, or('ultraface-rfb-320', faceModel), { name: 'faces' })
  await docs.publish(larger, or('super-resolution-10', brightnessModel), { name: 'larger' })
}

/** Every command of image.md, against what stands after it. */
async function askPictures(docs: DocsWorker, tolerance?: number): Promise<void> {
  const commands = (model: string) => image.commands.filter((command) => command.includes(`/run/${model}"`))
  const found = documentedJson(faces)
  expect(commands('faces')).toHaveLength(3)
  for (const command of commands('faces')) {
    const answer = await docs.ask(command)
    expectLike(answer, found)
    if (tolerance === undefined) continue
    const [face] = answer as { score: number; box: Record<string, number> }[]
    const [printed] = found as { score: number; box: Record<string, number> }[]
    expect(face?.box).toEqual(printed?.box)
    expect(Math.abs((face?.score ?? 0) - (printed?.score ?? 0))).toBeLessThan(1e-4)
  }
  expectLike(await docs.ask(nth(commands('mobilenet'), 0)), documentedJson(named), tolerance)
  await docs.shell(nth(commands('larger'), 0))
  const bytes = new Uint8Array(readFileSync(join(docs.folder, 'larger.png')))
  const { width } = decodeImage(bytes, { maxPixels: 1e6, maxScans: 1 })
  expect(width).toBe(tolerance === undefined ? 224 : 672)
}

describe('with models of our own', () => {
  let docs: DocsWorker

  beforeAll(async () => {
    docs = await startDocsWorker({ VERGE_API_KEY: KEY })
    const seven = readFileSync(join(ROOT, 'models/digits/samples/seven.png'))
    for (const name of ['astronaut.png', 'chelsea.png']) writeFileSync(join(docs.folder, name), seven)
    writeFileSync(join(docs.folder, 'yes.wav'), wav({ samples: sine(440, 0.8, 16_000) }))
    writeFileSync(join(docs.folder, 'jfk.wav'), wav({ samples: Float64Array.from(TONES, (sample) => sample / 32_768) }))
    await publishPictures(docs, false)
    await docs.publish(features, featuresModel(), { name: 'features' })
    await docs.publish(keywords, keywordsModel())
    await docs.publish(vad, loudnessModel())
    await docs.publish(vad, loudnessModel(), { name: 'secret-vad', visibility: 'private' })
  })
  afterAll(() => docs?.dispose())

  it('image.md answers as it prints', async () => {
    await askPictures(docs)
    const picture = new Uint8Array(readFileSync(join(docs.folder, 'astronaut.png')))
    expectLike(await docs.post('/run/features', picture, 'image/png'), documentedJson(vector))
  })

  it('audio.md answers as it prints', async () => {
    const [yes = '', jfk = ''] = audio.commands
    expectLike(await docs.ask(yes), documentedJson(heard))
    expectLike(await docs.ask(jfk), documentedJson(segments))
  })

  it('audio.md makes whole numbers of floats as it prints', () => {
    const convert = nth(audio.blocks('js'), 2)
    const context = createContext({ floats: Float32Array.of(0, 0.5, -1, 1, 2, -0.25) })
    runInContext(convert.replace('const int16', 'globalThis.int16'), context)
    expect([...(context.int16 as Int16Array)]).toEqual([0, 16384, -32768, 32767, 32767, -8192])
  })

  it('audio.md prints a client that hears a stream', async () => {
    const [client = '', bearer = ''] = audio.blocks('js')
    const sockets: WebSocket[] = []
    class Watched extends WebSocket {
      constructor(address: string, protocols: string[] = []) {
        super(address, protocols)
        sockets.push(this)
      }
    }
    const url = docs.worker.url.replace('http', 'ws')
    const microphone: Sounding = {}
    const said: string[] = []
    const globals = { WebSocket: Watched, microphone, console: { log: (line: string) => said.push(line) } }
    runInContext(client.replace('wss://verge.example', url), createContext({ ...globals, JSON }))
    const socket = nth(sockets, 0)
    const messages: Record<string, unknown>[] = []
    socket.addEventListener('message', ({ data }) => messages.push(JSON.parse(String(data))))
    const closed = new Promise<number>((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)))
    await new Promise((resolve) => socket.addEventListener('open', resolve))
    for (let at = 0; at < TONES.length; at += 3200) microphone.onsamples?.(TONES.subarray(at, at + 3200))
    // The end as the example's last line has it.
    runInContext(nth(/hear what is still open: (.*)$/m.exec(client) ?? [], 1), createContext({ socket, JSON }))
    expect(await closed).toBe(1000)
    expect(said).toHaveLength(4)
    expect(said[0]).toMatch(/^speech from [\d.]+ to [\d.]+ s$/)
    expect(new Set(messages.map(({ type }) => type))).toEqual(new Set(['ready', 'segment', 'end']))
    for (const message of messages) {
      const row = nth(new RegExp(`^\\| \`\\{("type": "${message.type}".*?)\\}\` \\|`, 'm').exec(audio.text) ?? [], 1)
      const fields = row.replace(/: "\w+"/, '').split(', ')
      expect(Object.keys(message)).toEqual(fields.map((field) => field.replaceAll('"', '')))
    }

    const page = { WebSocket: Watched, btoa, key: KEY, url: `${url}/stream/secret-vad` }
    runInContext(bearer, createContext(page))
    const secret = nth(sockets, 1)
    await new Promise((resolve, reject) => {
      secret.addEventListener('open', resolve)
      secret.addEventListener('error', reject)
    })
    expect(secret.protocol).toBe('verge-stream')
    secret.close()
  })
})

describe.skipIf(!haveRealModels)(`with the models that the pages name (skipped only where ${SKIP_REASON})`, () => {
  let docs: DocsWorker

  beforeAll(async () => {
    docs = await startDocsWorker()
    for (const name of ['images/astronaut.png', 'images/chelsea.png', 'audio/jfk.wav']) {
      writeFileSync(join(docs.folder, name.replace(/.*\//, '')), readFileSync(join(REAL_SAMPLES, name)))
    }
    await publishPictures(docs, true)
    await docs.publish(vad, join(REAL_MODELS, 'silero-vad'))
  })
  afterAll(() => docs?.dispose())

  it('image.md answers what it prints', () => askPictures(docs, 0.006))

  it('audio.md answers what it prints', async () => {
    expectLike(await docs.ask(nth(audio.commands, 1)), documentedJson(segments), 0.0006)
  })
})
