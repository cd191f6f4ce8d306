import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BUILD_OPTIONS, buildSettings } from '../../../src/cli/build/arguments.ts'
import { describeLoaded } from '../../../src/cli/build/samples.ts'
import { parseCommand } from '../../../src/cli/command.ts'
import { ROOT } from '../../../src/cli/files/project.ts'
import { descriptionSchema } from '../../../src/cli/pack/description.ts'
import { UsageError } from '../../../src/cli/terminal/command-line.ts'
import { preprocess } from '../../fixtures/all-at-once.ts'
import { type Sources, signature, startSources } from '../../fixtures/node/describe.ts'
import { readPage } from '../../fixtures/node/docs.ts'

const ANY = signature({ x: ['FP32', ['n', 3, 'h', 'w']] }, 3)
const FIXED = signature({ x: ['FP32', ['n', 3, 64, 96]] }, 3)
const GREY = signature({ x: ['FP32', ['n', 28, 28, 1]] }, 3)

let sources: Sources
beforeEach(async () => {
  sources = await startSources()
})
afterEach(() => sources.remove())

const wishesOf = (...args: string[]) => buildSettings(parseCommand(args, BUILD_OPTIONS).values).model.image

/** What a lone model becomes with these options, and what is said of it. */
async function lone(like: typeof ANY, args: readonly string[], files = {}) {
  const { description, notes } = await sources.describe(files, like, { image: wishesOf(...args) })
  return { ...description, image: description.preprocess?.image, notes: notes.join('\n') }
}

describe('a model of pictures without settings', () => {
  it('is prepared as a preset says, with the layout, channels and size of its input', async () => {
    const imagenet = await lone(ANY, ['--preset', 'imagenet'])
    expect(imagenet).toMatchObject({ task: 'image-classification', labels: ['LABEL_0', 'LABEL_1', 'LABEL_2'] })
    expect(imagenet.image).toEqual({
      ...{ mode: 'RGB', size: [224, 224], fit: 'crop', resize: 256, rescale: 1 / 255, layout: 'NCHW' },
      ...{ mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
    })
    expect(imagenet.notes).toMatch(/by the given image preprocessing[\s\S]*image preprocessing of preset imagenet/)
    expect((await lone(FIXED, ['--preset', 'clip'])).image).toMatchObject({
      size: [64, 96],
      resize: 96,
      resample: 'bicubic',
    })
    expect((await lone(GREY, ['--preset', 'inception'])).image).toMatchObject({
      ...{ mode: 'L', layout: 'NHWC', size: [28, 28], resize: 32, mean: [0.5], std: [0.5] },
    })
    expect((await lone(ANY, ['--preset', 'bytes'])).image).toEqual({
      ...{ mode: 'RGB', size: [224, 224], fit: 'stretch', rescale: 1, layout: 'NCHW' },
    })
  })

  it('is described by the commands of the page, as they are printed', () => {
    const wishes = readPage('image').verge.map((command) => {
      const [, , name, source, ...options] = command.trim().split(' ')
      expect([name, source]).toEqual(['push', 'net.onnx'])
      return wishesOf(...options)
    })
    expect(wishes).toEqual([
      wishesOf('--preset', 'imagenet'),
      wishesOf('--preset', 'bytes', '--std', '128', '--mean', '127', '--size', '240x320'),
    ])
  })

  it('makes of one pixel what the preset is known for', async () => {
    // Red 255, green 128, blue 0.
    const pixel = { width: 1, height: 1, channels: 3, data: Uint8Array.of(255, 128, 0) } as const
    const values = async (...args: string[]) => {
      const { image } = await lone(ANY, [...args, '--size', '1'])
      if (image === undefined) throw new Error('no settings')
      return Array.from(preprocess(pixel, image).samples, (value) => Number(value.toFixed(4)))
    }
    // (1 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, -0.406 / 0.225: torchvision's Normalize.
    expect(await values('--preset', 'imagenet')).toEqual([2.2489, 0.2052, -1.8044])
    // 2 x / 255 - 1.
    expect(await values('--preset', 'inception')).toEqual([1, 0.0039, -1])
    expect(await values('--preset', 'unit')).toEqual([1, 0.502, 0])
    expect(await values('--preset', 'bytes')).toEqual([255, 128, 0])
    // keras.applications.imagenet_utils.preprocess_input, mode "caffe": blue, green, red less 103.939, 116.779, 123.68.
    expect(await values('--preset', 'caffe')).toEqual([-103.939, 11.221, 131.32])
    expect(await values('--preset', 'bytes', '--mean', '127.5', '--std', '2,4,8')).toEqual([63.75, 0.125, -15.9375])
  })

  it('may be described without a preset, or otherwise than the files beside it say', async () => {
    const own = await lone(ANY, ['--size', '32x48', '--mean', '0.5', '--std', '0.5'])
    expect(own.image).toMatchObject({ size: [32, 48], fit: 'stretch', mean: [0.5], std: [0.5], rescale: 1 / 255 })
    expect(own.notes).toMatch(/stretched and scaled to 0 to 1 \(preset unit\)/)
    const vit = {
      'preprocessor_config.json': {
        ...{ image_processor_type: 'ViTImageProcessor', image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] },
        ...{ size: { height: 224, width: 224 } },
      },
    }
    expect((await lone(ANY, ['--mean', '0.1,0.2,0.3'], vit)).image).toMatchObject({
      size: [224, 224],
      mean: [0.1, 0.2, 0.3],
    })
    expect((await lone(ANY, ['--preset', 'unit'], vit)).notes).toMatch(/instead of the files beside the model/)
    // The size that a processor leaves open.
    const detr = { 'preprocessor_config.json': { ...vit['preprocessor_config.json'], size: { longest_edge: 1333 } } }
    expect((await lone(ANY, ['--size', '640'], detr)).image).toMatchObject({ size: [640, 640], fit: 'stretch' })
    const written = {
      'verge.json': {
        ...{ name: 'm', version: '1', licence: 'MIT', task: 'image-classification', labels: ['a', 'b', 'c'] },
        preprocess: { image: { mode: 'RGB', size: [8, 8], fit: 'stretch', rescale: 1 } },
        artifacts: [{ file: 'net.onnx', dtype: 'fp32' }],
      },
    }
    expect(await lone(ANY, ['--size', '16', '--std', '3'], written)).toMatchObject({
      ...{ labels: ['a', 'b', 'c'], image: { size: [16, 16], rescale: 1, std: [3] } },
    })
  })

  it.each([
    [
      'a size that the model does not take',
      FIXED,
      ['--size', '64'],
      /--size 64x64 does not match the model, which takes 64 x 96/,
    ],
    [
      'a layout that it does not have',
      FIXED,
      ['--layout', 'NHWC'],
      /--layout NHWC does not match the model, whose input is NCHW/,
    ],
    ['two numbers for three channels', ANY, ['--mean', '1,2'], /--mean takes one number or 3.*not 2/],
    [
      'pictures of a model of texts',
      signature({ ids: ['INT64', ['n', 's']] }, 3),
      ['--preset', 'clip'],
      /has a datatype that images cannot have/,
    ],
  ] as const)('is refused with %s', async (_, like, args, message) => {
    const refused = lone(like as typeof ANY, args)
    await expect(refused).rejects.toThrow(UsageError)
    await expect(refused).rejects.toThrow(message)
  })

  it.each([
    [['--preset', 'imagnet'], /--preset has no "imagnet"\. Did you mean imagenet\? Image preprocessing: imagenet, /],
    [['--preset', 'yolov'], /Did you mean yolo\w+\?/],
    [
      ['--preset', 'yolov8', '--task', 'image-classification'],
      /--preset yolov8 is of task object-detection, but --task is/,
    ],
    [['--size', '224x'], /--size takes a number or height and width, such as 224 or 240x320/],
    [['--size', '0'], /--size takes/],
    [['--mean', '1,x'], /--mean takes one number or three/],
    [['--std', '0'], /--std takes numbers above 0/],
    [['--preset', 'clip', '--task', 'none'], /--preset sets image preprocessing, but --task none takes no images/],
    [['--size', '8', '--task', 'text-classification'], /--size sets image preprocessing/],
  ])('is refused before anything is read: %j', (args, message) => {
    expect(() => wishesOf(...args)).toThrow(message)
  })

  it('says how to make it a classifier, where it looks like one', async () => {
    expect(await sources.notes({}, ANY)).toMatch(/raw tensors: [\s\S]*if it classifies images: --preset imagenet \| /)
    expect(await sources.notes({}, signature({ ids: ['INT64', ['n', 's']] }, 3))).not.toMatch(/preset/)
  })

  it('gets a verge.json to be corrected, which is right but for what a person has to know', async () => {
    for (const task of ['image-classification', 'object-detection', 'image-to-image'] as const) {
      const name = `draft-${process.pid}-${task}`
      const draft = join(ROOT, '.verge/drafts', name)
      try {
        const source = await sources.make({})
        const model = { ...buildSettings(parseCommand(['--name', name, '--task', task], BUILD_OPTIONS).values).model }
        const refused = describeLoaded(
          { source, signature: ANY, notes: [], model: { metadataProps: [] } } as never,
          model,
        )
        await expect(refused).rejects.toThrow(
          /cannot be served as [\s\S]*--preset imagenet \| [\s\S]*save it as verge\.json beside net\.onnx/,
        )
        const written = JSON.parse(await readFile(join(draft, 'verge.json'), 'utf8')) as unknown
        expect(descriptionSchema.parse(written)).toMatchObject({ name, task, artifacts: [{ file: 'net.onnx' }] })
      } finally {
        await rm(draft, { recursive: true, force: true })
      }
    }
  })
})
