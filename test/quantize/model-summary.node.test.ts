import { describe, expect, it } from 'vitest'
import { tensor } from '../../src/core/tensors.ts'
import { decodeModel } from '../../src/onnx/codec.ts'
import { makeNode } from '../../src/onnx/make.ts'
import { excluder } from '../../src/quantize/exclude.ts'
import { floatsIn, summarizeModel, type WeightGroup } from '../../src/quantize/model-summary.ts'
import { type AttributeValue, onnxModel } from '../../synthetic/onnx.ts'
import { encoder, pictureNetwork, randomTensor } from '../fixtures/node/networks.ts'
import { functionModel, subgraphModel } from '../fixtures/onnx-messages.ts'

const kindsOf = (weights: readonly WeightGroup[]): Record<string, readonly [tensors: number, floats: number]> =>
  Object.fromEntries(weights.map(({ kind, tensors, floats }) => [kind, [tensors, floats]]))

describe('a survey', () => {
  it('counts what an encoder is made of', () => {
    const survey = summarizeModel(encoder().model)
    expect(survey).toMatchObject({
      irVersion: 8,
      opsets: { 'ai.onnx': 17 },
      producer: 'verge tests',
      nodes: 9,
      graphs: 1,
      otherBytes: {},
    })
    expect(survey.operators.slice(0, 2)).toEqual([
      { op: 'MatMul', count: 2 },
      { op: 'Add', count: 2 },
    ])
    expect(survey.operators).toHaveLength(7)
    expect(kindsOf(survey.weights)).toEqual({
      table: [1, 500 * 64],
      product: [3, 2 * 64 * 128 + 40 * 64],
      // Biases, gains and offsets.
      other: [4, 64 + 64 + 128 + 40],
    })
    expect(survey.weights.map(({ kind }) => kind)).toEqual(['table', 'product', 'other'])
    expect(survey.largest[0]).toEqual({ name: 'table', dims: [500, 64], type: 'float' })
    expect(survey.largest).toHaveLength(5)
    expect(floatsIn(survey, 'convolution')).toBe(0)
  })

  it('counts convolutions, and products beside them', () => {
    const { weights } = summarizeModel(pictureNetwork().model)
    expect(kindsOf(weights)).toMatchObject({
      convolution: [2, 16 * 8 * 9 + 32 * 16 * 9],
      product: [1, 32 * 40],
    })
  })

  it('finds weights of the graphs around, in Constant nodes, behind a Transpose, and among the inputs', () => {
    const branch = (weight: string): AttributeValue => ({
      graph: {
        inputs: [],
        outputs: [{ name: `${weight} y`, datatype: 'FP32' }],
        nodes: [{ op: 'MatMul', inputs: ['x', weight], outputs: [`${weight} y`] }],
      },
    })
    const { graphs, nodes, weights, otherBytes } = summarizeModel(
      decodeModel(
        onnxModel({
          inputs: [
            { name: 'x', datatype: 'FP32', shape: [2, 40] },
            { name: 'flag', datatype: 'BOOL', shape: [] },
            // As files of before IR version 4 list their constants.
            { name: 'listed', datatype: 'FP32', shape: [40, 40] },
          ],
          outputs: [{ name: 'y', datatype: 'FP32' }],
          nodes: [
            {
              op: 'If',
              inputs: ['flag'],
              outputs: ['a'],
              attributes: { then_branch: branch('outer'), else_branch: branch('listed') },
            },
            {
              op: 'Constant',
              inputs: [],
              outputs: ['constant'],
              attributes: { value: { tensor: randomTensor('constant', [40, 30]) } },
            },
            { op: 'Transpose', inputs: ['constant'], outputs: ['turned'] },
            { op: 'Transpose', inputs: ['turned'], outputs: ['back'] },
            { op: 'MatMul', inputs: ['a', 'back'], outputs: ['y'] },
          ],
          initializers: {
            outer: randomTensor('outer', [40, 40]),
            listed: randomTensor('listed', [40, 40]),
            ids: tensor('INT64', [3], BigInt64Array.of(1n, 2n, 3n)),
          },
        }),
      ),
    )
    expect({ graphs, nodes }).toEqual({ graphs: 3, nodes: 7 })
    expect(kindsOf(weights)).toEqual({ product: [3, 1600 + 1600 + 1200] })
    expect(otherBytes).toEqual({ int64: 24 })
  })

  it('goes through loops in branches, tells domains apart, and ends', () => {
    expect(summarizeModel(subgraphModel()).graphs).toBe(4)
    expect(summarizeModel(functionModel()).operators).toEqual([{ op: 'own.Outer', count: 1 }])
    // Values in a circle, as a broken file may have them.
    const circle = summarizeModel(
      decodeModel(
        onnxModel({
          inputs: [{ name: 'x', datatype: 'FP32' }],
          outputs: [{ name: 'y', datatype: 'FP32' }],
          nodes: [
            { op: 'Transpose', inputs: ['b'], outputs: ['a'] },
            { op: 'Transpose', inputs: ['a'], outputs: ['b'] },
            { op: 'MatMul', inputs: ['x', 'a'], outputs: ['y'] },
          ],
        }),
      ),
    )
    expect(circle.weights).toEqual([])
  })
})

describe('exclusions', () => {
  const excludes = (name: string, nodes: readonly string[], ops: readonly string[] = []): boolean =>
    excluder({ nodes, ops })(makeNode({ op: 'MatMul', inputs: [], outputs: ['y'], name }))

  it.each([
    ['/layer.0/attention/MatMul', '/layer.0/attention/MatMul', true],
    ['/layer.0/attention/MatMul_1', '/layer.0/attention/MatMul', false],
    ['/layer.0/attention/MatMul', '/layer.0/*', true],
    ['/layer.10/attention/MatMul', '/layer.1/*', false],
    ['/layer.0/attention/MatMul', '*MatMul', true],
    ['/layer.0/attention/MatMul', '*/attention/*', true],
    ['/layer.0/attention/MatMul', '/layer.*/MatMul', true],
    ['/layer.0/attention/MatMul', '/layer.*/Gemm', false],
    ['abab', 'ab*ab', true],
    // The parts may not share letters.
    ['aba', 'ab*ba', false],
    ['aa', 'a*a*a', false],
    ['aXbXc', 'a*b*c', true],
    ['acb', 'a*b*c', false],
    ['anything', '*', true],
    ['anything', '**', true],
    ['', '*', true],
    // No other character means anything but itself.
    ['layerX0', 'layer.0', false],
    ['layer[0]', 'layer[0]', true],
    ['(a+)+$', '(a+)+*', true],
  ])('%j is left by %j: %j', (name, pattern, expected) => {
    expect(excludes(name, [pattern])).toBe(expected)
  })

  it('take patterns that would make a regular expression run for ever', () => {
    expect(excludes('a'.repeat(50_000), [`${'*a'.repeat(200)}*b`])).toBe(false)
  })

  it('go by the operator, and by any of several', () => {
    expect(excludes('n', [], ['MatMul'])).toBe(true)
    expect(excludes('n', [], ['Gemm', 'matmul'])).toBe(false)
    expect(excludes('n', ['m', 'n'])).toBe(true)
    expect(excludes('n', [])).toBe(false)
  })
})
