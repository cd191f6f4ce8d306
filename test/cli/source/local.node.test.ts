import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chooseModel } from '../../../src/cli/source/choose.ts'
import { isInside } from '../../../src/cli/source/paths.ts'
import { openModelSource } from '../../../src/cli/source/source.ts'
import { parseSpec } from '../../../src/cli/source/spec.ts'
import { identityModel, matmulModel } from '../../../synthetic/onnx-models.ts'
import { messageOf, withExternalData } from '../../fixtures/node/source-options.ts'

const MODEL = Buffer.from(identityModel('FP32', [1]))

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'verge-local-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

async function put(files: Readonly<Record<string, Buffer | string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
}

const open = (path: string, file?: string) =>
  openModelSource(join(root, path), { cacheDir: join(root, 'cache'), env: {}, file })
const failure = (path: string, file?: string) => messageOf(open(path, file), root)

describe('a file', () => {
  it('comes with the settings beside it, and no folder of this machine in its label', async () => {
    await put({ 'net.onnx': MODEL, 'config.json': '{}', 'notes.txt': '', 'onnx/config.json': '{}' })
    const found = await open('net.onnx')
    expect(found).toMatchObject({ kind: 'file', label: 'net.onnx', modelFile: join(root, 'net.onnx'), others: [] })
    expect(found.origin).toBeUndefined()
    expect([...found.files]).toEqual([['config.json', join(root, 'config.json')]])
  })

  it('in a folder "onnx" has its settings above, and its own count more', async () => {
    await put({ 'm/onnx/model.onnx': MODEL, 'm/config.json': '', 'm/tokenizer.json': '', 'm/onnx/config.json': '' })
    expect([...(await open('m/onnx/model.onnx')).files]).toEqual([
      ['config.json', join(root, 'm/onnx/config.json')],
      ['tokenizer.json', join(root, 'm/tokenizer.json')],
    ])
  })

  it.each([
    ['no such file', undefined, /There is no ".*".*hf:org\/name/],
    ['an empty file', '', /x.onnx is empty/],
    ['a pointer of Git LFS', 'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 5\n', /git lfs pull/],
    ['a web page', '  <html>', /web page/],
    ['garbage that mentions a location', 'location location', /not an ONNX/],
  ] as const)('is refused: %s', async (_, content, message) => {
    if (content !== undefined) await put({ 'x.onnx': content })
    const path = join(root, 'x.onnx')
    const error = await messageOf(openModelSource(path, { cacheDir: root, env: {} }))
    expect(error).toMatch(message)
  })

  it('needs the files that it keeps its weights in, inside its folder', async () => {
    const { model, data } = withExternalData(matmulModel(1 << 16), 'w/weights.bin')
    await put({ 'a/model.onnx': model })
    expect(await failure('a/model.onnx')).toMatch(/stores weights in "w\/weights.bin", which is missing/)
    await put({ 'a/w/weights.bin': data })
    expect((await open('a/model.onnx')).modelFile).toBe(join(root, 'a/model.onnx'))
    await put({ 'b/model.onnx': model, 'elsewhere.bin': data })
    await mkdir(join(root, 'b/w'))
    await symlink(join(root, 'elsewhere.bin'), join(root, 'b/w/weights.bin'))
    expect(await failure('b/model.onnx')).toMatch(/a link to a file outside its folder/)
    await put({ 'c/model.onnx': withExternalData(matmulModel(1 << 16), '/etc/hosts').model })
    expect(await failure('c/model.onnx')).toMatch(/"\/etc\/hosts", which is not a file inside the model's folder/)
  })
})

describe('a folder', () => {
  it('has one model to choose, or says which there are', async () => {
    await put({ 'm/onnx/model.onnx': MODEL, 'm/onnx/model_int8.onnx': MODEL, 'm/config.json': '{}' })
    const found = await open('m')
    expect(found).toMatchObject({ kind: 'folder', label: 'm', others: ['onnx/model_int8.onnx'] })
    expect([...found.files.keys()]).toEqual(['config.json'])
    expect((await open('m', 'onnx/model_int8.onnx')).modelFile).toBe(join(root, 'm/onnx/model_int8.onnx'))
    await put({ 'deep/a/b/net.onnx': MODEL })
    expect((await open('deep', 'a/b/net.onnx')).modelFile).toBe(join(root, 'deep/a/b/net.onnx'))
    expect(await failure('deep')).toMatch(/contains no \.onnx file/)
    expect(await failure('deep', '../m/onnx/model.onnx')).toMatch(/inside the folder/)
    expect(await failure('m/onnx/model.onnx', 'model.onnx')).toMatch(/MODEL is a file/)
  })
})

describe('which model', () => {
  it('is the one by convention, the only one, or the only one in full precision', () => {
    const choose = (...paths: string[]) => chooseModel(paths, 'it').path
    expect(choose('other.onnx', 'model.onnx', 'onnx/model.onnx')).toBe('model.onnx')
    expect(choose('x/model.onnx', 'onnx/model.onnx')).toBe('onnx/model.onnx')
    expect(choose('a/only_int8.onnx', 'config.json')).toBe('a/only_int8.onnx')
    expect(choose('net_fp16.onnx', 'net.onnx', 'net_q4f16.onnx', 'net_quantized.onnx', 'net_O4.onnx')).toBe('net.onnx')
    expect(choose('net_qint8_avx512_vnni.onnx', 'net.onnx')).toBe('net.onnx')
    expect(choose('onnx/decoder_model.onnx', 'onnx/decoder_model_q4.onnx')).toBe('onnx/decoder_model.onnx')
    expect(choose('merged.onnx', 'merged_q4.onnx', 'merged_q4_f16.onnx', 'merged_new.onnx')).toBe('merged.onnx')
    expect(choose('gpu/net.onnx', 'cuda-int4-rtn-block-32/net.onnx', 'fp16/net.onnx')).toBe('gpu/net.onnx')
    expect(choose('net_v2.onnx', 'net_v2_q1f16.onnx')).toBe('net_v2.onnx')
    expect(() => choose('encoder.onnx', 'decoder.onnx')).toThrow(/--file:\n {2}decoder.onnx\n {2}encoder.onnx/)
    expect(() => choose('a_int8.onnx', 'a_fp16.onnx')).toThrow(/several models/)
    expect(() => choose('model.safetensors')).toThrow(/contains no \.onnx file.*optimum-cli/)
    expect(() => chooseModel(['a/m.onnx', 'b/m.onnx'], 'it', 'm.onnx')).toThrow(/Give its path/)
    const many = Array.from({ length: 30 }, (_, i) => `part${i}.onnx`)
    expect(() => choose(...many)).toThrow(/and 10 more/)
    expect(() => chooseModel(['\u001b[31m.onnx', 'b.onnx'], 'it')).toThrow(/\\u001b\[31m/)
  })
})

describe('full precision', () => {
  it.each([
    'q1',
    'q1f16',
    'q2',
    'q2f16',
    'q3',
    'int3',
    'uint4',
    'fp8',
    'fp8e4m3',
    'nf4',
    'mxfp4',
    'bf16',
    'w4a16',
    'awq',
    'zz9',
    'quant',
    'q8_dynamic',
    // Nothing like a precision by itself: but it stands beside `_q4`.
    'ternary',
  ])('is never what is called _%s', (suffix) => {
    const models = [`onnx/model_${suffix}.onnx`, 'onnx/model_q4.onnx']
    expect(() => chooseModel(models, 'it')).toThrow(/several models/)
    const beside = [`onnx/model_${suffix}.onnx`, 'onnx/model_q4.onnx', 'onnx/encoder.onnx']
    expect(chooseModel(beside, 'it').path).toBe('onnx/encoder.onnx')
  })
})

describe('what a source may be called', () => {
  const endpoint = new URL('https://huggingface.co/')
  const parse = (spec: string) => parseSpec(spec, endpoint)

  it('is a path, an address, or a repository', () => {
    expect(parse('models/net.onnx')).toEqual({ kind: 'local', path: 'models/net.onnx' })
    expect(parse('C:\\models\\net.onnx')).toEqual({ kind: 'local', path: 'C:\\models\\net.onnx' })
    expect(parse('https://example.com/a.onnx')).toMatchObject({ kind: 'url' })
    expect(parse('hf:org/name')).toEqual({ kind: 'hub', repo: 'org/name', revision: 'main' })
    expect(parse('hf:gpt2@v1.0')).toEqual({ kind: 'hub', repo: 'gpt2', revision: 'v1.0' })
    expect(parse('https://huggingface.co/org/name/resolve/abc/onnx/model.onnx?download=true')).toEqual({
      kind: 'hub',
      repo: 'org/name',
      revision: 'abc',
      file: 'onnx/model.onnx',
    })
    expect(parse('https://huggingface.co/datasets/org/name')).toMatchObject({ kind: 'url' })
  })

  it.each([
    'hf:',
    'hf:../x',
    'hf:a/b/c',
    'hf:a/..',
    'hf:a/b@',
    'hf:a/b@../c',
    'hf:a/b@x y',
    'hf:a/b?x',
    's3://b/k',
    ' ',
  ])('is not "%s"', (spec) => {
    expect(() => parse(spec)).toThrow(/name|revision|addresses/i)
  })

  it('knows paths that stay inside', () => {
    expect(['a', 'a/b.c', '...', 'ä ö/~'].filter(isInside)).toHaveLength(4)
    const outside = ['', '.', '..', '/a', 'a//b', 'a/', 'a/../b', 'a\\b', 'c:a', 'a\0b', 'a\nb', 'x'.repeat(513)]
    expect(outside.filter(isInside)).toEqual([])
  })
})
