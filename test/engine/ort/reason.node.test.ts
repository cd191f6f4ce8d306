import { describe, expect, it } from 'vitest'
import { runReason } from '../../../src/engine/ort/reason.ts'

const RUNNING = 'Non-zero status code returned while running'

/** Messages of ONNX Runtime 1.30 as it gives them, of small models that were made to fail. */
describe('what ONNX Runtime says, in our words', () => {
  it.each([
    [
      `${RUNNING} Gather node. Name:'/emb/Gather' Status Message: indices element out of data bounds, idx=9 must be within the inclusive range [-3,2]`,
      'index 9 is out of range, which is -3 to 2 (operator Gather).',
    ],
    [
      `${RUNNING} Add node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:563 void onnxruntime::BroadcastIterator::Init(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. Attempting to broadcast an axis by a dimension other than 1. 3 by 4\n`,
      'dimensions of 3 and 4 do not match (operator Add).',
    ],
    [
      `${RUNNING} Reshape node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/tensor/reshape_helper.h:91 onnxruntime::ReshapeHelper::ReshapeHelper(const onnxruntime::TensorShape&, onnxruntime::TensorShapeVector&, bool) input_shape_size == requested_shape_size was false. The input tensor cannot be reshaped to the requested shape. Input shape:{3}, requested shape:{2,2}\n`,
      'a tensor of shape [3] cannot be reshaped to [2, 2] (operator Reshape).',
    ],
    [
      `${RUNNING} MatMul node. Name:'' Status Message: matmul_helper.h:59 Compute MatMul dimension mismatch`,
      'the dimensions of its inputs do not match (operator MatMul).',
    ],
    [
      `${RUNNING} Gemm node. Name:'' Status Message: GEMM: Dimension mismatch, W: {4,2} K: 3 N:2`,
      'the dimensions of its inputs do not match (operator Gemm).',
    ],
    [
      'Invalid rank for input: a Got: 1 Expected: 2 Please fix either the inputs/outputs or the model.',
      'input "a" has rank 1, but rank 2 is expected.',
    ],
    [
      'Got invalid dimensions for input: a for the following indices\n index: 1 Got: 3 Expected: 4\n Please fix either the inputs/outputs or the model.',
      'dimension 1 of input "a" is 3, but 4 is expected.',
    ],
    [
      'Unexpected input data type. Actual: (tensor(int64)) , expected: (tensor(float))',
      'an input has elements of type int64, but float is expected.',
    ],
    [
      `${RUNNING} Conv node. Name:'o_nchwc' Status Message: Input channels C is not equal to kernel channels * group. C: 1 kernel channels: 3 group: 1`,
      'the input has 1 channels, but 3 are expected (operator Conv).',
    ],
    [
      `${RUNNING} Div node. Name:'' Status Message: element_wise_ops.cc:692 Compute Integer division by zero`,
      'a whole number is divided by zero (operator Div).',
    ],
    [
      `${RUNNING} Squeeze node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/providers/cpu/tensor/squeeze.h:53 static onnxruntime::TensorShapeVector onnxruntime::SqueezeBase::ComputeOutputShape(const onnxruntime::TensorShape&, const onnxruntime::TensorShapeVector&) input_shape[i] == 1 was false. Dimension of input 0 must be 1 instead of 3. shape={3}\n`,
      'a dimension is 3 and must be 1 (operator Squeeze).',
    ],
    [
      `${RUNNING} TopK node. Name:'' Status Message: k argument [9] should not be greater than specified axis dim value [3]`,
      '9 elements are requested, but there are 3 (operator TopK).',
    ],
    [
      `${RUNNING} ConstantOfShape node. Name:'' Status Message: /onnxruntime_src/onnxruntime/core/framework/op_kernel.cc:83 virtual OrtValue* onnxruntime::OpKernelContext::OutputMLValue(int, const onnxruntime::TensorShape&) [ONNXRuntimeError] : 1 : FAIL : tensor.cc:57 CalculateTensorStorageSize Tensor shape.Size() must be >= 0\n`,
      'a dimension would be negative (operator ConstantOfShape).',
    ],
    [
      `${RUNNING} Loop node. Name:'/l' Status Message: ${RUNNING} GatherND node. Name:'/l/g' Status Message: invalid index found, index = 9`,
      'index 9 is out of range (operator GatherND).',
    ],
    [
      `${RUNNING} Expand node. Name:'' Status Message: invalid expand shape`,
      'operator Expand rejects its input. Check the shapes and values of the inputs.',
    ],
    [
      `${RUNNING} FusedConv node. Name:'inner_1' Status Message: virtual common::Status onnxruntime::X::Compute(OpKernelContext *) const [with T = float] nobody has seen this`,
      'an operator rejects its input. Check the shapes and values of the inputs.',
    ],
    ['', 'an operator rejects its input. Check the shapes and values of the inputs.'],
  ])('%s', (message, said) => {
    expect(runReason(message)).toBe(said)
  })

  it('stays short, whatever the runtime says', () => {
    const long = `${RUNNING} Gather node. Invalid rank for input: ${'x'.repeat(100_000)} Got: 1 Expected: 2`
    expect(runReason(long).length).toBeLessThan(400)
  })
})
