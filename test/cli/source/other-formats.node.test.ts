import { describe, expect, it } from 'vitest'
import { otherFormatIn, otherFormatNamed, otherFormatOf } from '../../../src/cli/source/other-formats.ts'
import { safetensors } from '../../fixtures/node/safetensors.ts'

const weights = safetensors({ a: { dtype: 'F32', shape: [1], data: Float32Array.of(1) } })

describe('a model of another format', () => {
  it.each([
    ['GGUF', Buffer.from('GGUF\x03\0\0\0'), /is a GGUF file.*optimum-cli export onnx --model ORG\/NAME onnx-model\//],
    ['TensorFlow Lite', Buffer.from('\x1c\0\0\0TFL3'), /python -m tf2onnx.convert --tflite m.bin --output model.onnx/],
    ['HDF5', Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), /tf2onnx.convert --keras m.bin/],
    ['a pickle', Buffer.from([0x80, 2, 0x8a]), /PyTorch file, which holds Python objects.*optimum-cli/],
    ['safetensors', weights, /weights without a graph.*optimum-cli/],
    ['ONNX Runtime', Buffer.from('\x14\0\0\0ORTM'), /ONNX Runtime's own format/],
  ])('is known by how it begins: %s', (_, bytes, message) => {
    expect(otherFormatOf(bytes, '/folder/m.bin', 'm.bin')).toMatch(message)
  })

  it('is not taken for one by ONNX files and short ones', () => {
    expect(otherFormatOf(Buffer.from([8, 8, 0x12, 5]), 'm.onnx', 'm')).toBeUndefined()
    for (let length = 0; length < 10; length++) {
      expect(otherFormatOf(Buffer.alloc(length), 'm.onnx', 'm')).toBeUndefined()
    }
  })

  it.each([
    ['yolov8n.pt', /yolo export model=yolov8n.pt format=onnx/],
    ['net.pth', /PyTorch/],
    ['pytorch_model-00001-of-00002.bin', /PyTorch/],
    ['saved_model.pb', /tf2onnx.convert --saved-model FOLDER/],
    ['net.keras', /keras.saving.load_model\('net.keras'\).export\('model.onnx', format='onnx'\)/],
  ])('is known by its name: %s', (name, message) => {
    expect(otherFormatNamed(name, name)).toMatch(message)
  })

  it('is not known by a name that says nothing', () => {
    expect(otherFormatNamed('weights.bin', 'it')).toBeUndefined()
    expect(otherFormatNamed('model.onnx', 'it')).toBeUndefined()
  })

  it('is found in a listing, with a line that names the repository', () => {
    const label = 'hf:org/name@0123456789ab'
    expect(otherFormatIn(['tf_model.h5', 'pytorch_model.bin', 'config.json'], label)).toMatch(
      /^pytorch_model.bin is a PyTorch file.* optimum-cli export onnx --model org\/name onnx-model\/$/,
    )
    expect(otherFormatIn(['a-q4.gguf'], label)).toContain('--model ORG/NAME')
    expect(otherFormatIn(['variables/variables.index', 'saved_model.pb'], 'folder')).toContain('--saved-model folder')
    expect(otherFormatIn(['README.md'], label)).toBeUndefined()
  })

  it('never puts a name into the line that a shell reads as more than a name', () => {
    for (const name of ['$(id).tflite', "a'b.keras", '-o.tflite', 'a b.tflite']) {
      const message = otherFormatNamed(name, 'it') ?? ''
      expect(message).toContain('FILE')
      expect(message).not.toContain(name)
    }
  })
})
