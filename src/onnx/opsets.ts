/**
 * Operators that ONNX Runtime 1.30 has a definition of, by domain and by the version of the operator set that brought
 * them, as `get_all_operator_schema()` of its Python package lists them. Not every build has a kernel for each.
 */
const OPERATORS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  '': {
    1: `
      Abs Add Affine And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv
      ConvTranspose Crop DepthToSpace Div Dropout DynamicSlice Elu Equal Exp Flatten Floor GRU GRUUnit
      Gather Gemm GivenTensorFill GlobalAveragePool GlobalLpPool GlobalMaxPool Greater HardSigmoid Hardmax
      Identity If ImageScaler InstanceNormalization LRN LSTM LayerNormalization LeakyRelu Less Log
      LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool MaxRoiPool Mean MeanVarianceNormalization
      Min Mul Neg Not Or PRelu Pad ParametricSoftplus Pow RNN RandomNormal RandomNormalLike RandomUniform
      RandomUniformLike Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
      ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Scale ScaledTanh Selu Shape Sigmoid
      SimplifiedLayerNormalization Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze
      Sub Sum Tanh ThresholdedRelu Tile TopK Transpose Unsqueeze Upsample Xor
    `,
    7: 'Acos Asin Atan Cos Multinomial Sin Tan',
    8: 'Expand Scan',
    9: `
      Acosh Asinh Atanh Compress ConstantOfShape Cosh Erf EyeLike IsNaN MaxUnpool NonZero OneHot Scatter
      Shrink Sign Sinh TfIdfVectorizer Where
    `,
    10: `
      ConvInteger DequantizeLinear IsInf MatMulInteger Mod NonMaxSuppression QLinearConv QLinearMatMul
      QuantizeLinear Resize ReverseSequence RoiAlign StringNormalizer
    `,
    11: `
      BitShift ConcatFromSequence CumSum Det DynamicQuantizeLinear GatherElements GatherND Range Round
      ScatterElements ScatterND SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert
      SequenceLength SplitToSequence Unique
    `,
    12: 'Celu Einsum GreaterOrEqual LessOrEqual NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss',
    14: 'HardSwish Trilu',
    15: 'Bernoulli CastLike Optional OptionalGetElement OptionalHasElement',
    16: 'GridSample',
    17: 'BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT SequenceMap',
    18: 'BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CenterCropPad Col2Im GroupNormalization Mish',
    19: 'DeformConv',
    20: 'AffineGrid Gelu ImageDecoder RegexFullMatch StringConcat StringSplit',
    23: 'Attention RMSNormalization RotaryEmbedding',
    24: 'Swish TensorScatter',
    26: 'BitCast CumProd',
  },
  'ai.onnx.ml': {
    1: `
      ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer
      LabelEncoder LinearClassifier LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor
      Scaler TreeEnsembleClassifier TreeEnsembleRegressor ZipMap
    `,
    5: 'TreeEnsemble',
  },
  'com.microsoft': {
    1: `
      Attention AttnLSTM BeamSearch BiasAdd BiasDropout BiasGelu BiasSoftmax BiasSplitGelu
      BifurcationDetector BitmaskBiasDropout BitmaskDropout CDist CausalConvWithState ComplexMul
      ComplexMulConj ConvTransposeWithDynamicPads CropAndResize DecoderAttention
      DecoderMaskedMultiHeadAttention DecoderMaskedSelfAttention DequantizeBFP DequantizeLinear
      DequantizeWithOrder DynamicQuantizeLSTM DynamicQuantizeMatMul DynamicTimeWarping EPContext
      EmbedLayerNormalization EngramGate ExpandDims FastGelu FusedConv FusedGemm FusedMatMul
      FusedMatMulActivation GatedAdd GatedDeltaNet GatedRMSNorm GatedRelativePositionBias
      GatherBlockQuantized GatherND Gelu GemmFastGelu GemmFloat8 GemmaRotaryEmbedding GreedySearch
      GridSample GroupNorm GroupQueryAttention Inverse Irfft IsAllFinite LinearAttention
      LinearAttentionGate LongformerAttention MRotaryEmbedding MatMulBlockQuantizedFp4Weight
      MatMulBlockQuantizedFp8Weight MatMulBnb4 MatMulFpQ4 MatMulInteger16 MatMulIntegerToFloat MatMulNBits
      MatMulNBitsMlp MatMulNBitsQkv MaxpoolWithMask MoE MulInteger MultiHeadAttention MurmurHash3
      NGramHashMapping NGramRepeatBlock NhwcConv NhwcFusedConv NhwcMaxPool PackedAttention
      PackedMultiHeadAttention Pad PagedAttention QAttention QEmbedLayerNormalization QGemm QLinearAdd
      QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul
      QLinearReduceMean QLinearSigmoid QLinearSoftmax QLinearWhere QMoE QOrderedAttention QOrderedGelu
      QOrderedLayerNormalization QOrderedLongformerAttention QOrderedMatMul QuantizeBFP QuantizeLinear
      QuantizeWithOrder QuickGelu Range ReduceSumInteger RelativePositionBias RemovePadding RestorePadding
      Rfft RotaryEmbedding SampleOp Sampling SkipGroupNorm SkipLayerNormalization
      SkipSimplifiedLayerNormalization Snpe SparseAttention SparseToDenseMatMul Tokenizer TorchEmbedding
      TransposeMatMul Trilu UnfoldTensor Unique VarlenCausalConvWithState WhisperBeamSearch
      WordConvEmbedding
    `,
  },
  'com.microsoft.nchwc': {
    1: 'AveragePool Conv GlobalAveragePool GlobalMaxPool MaxPool ReorderInput ReorderOutput Upsample',
  },
}

/** Newest version of each operator set that ONNX Runtime 1.30 reads. */
export const MAX_OPSET: Readonly<Record<string, number>> = {
  '': 26,
  'ai.onnx.ml': 5,
  'com.microsoft': 1,
  'com.microsoft.nchwc': 1,
}

/** Newest version of the file format that ONNX Runtime 1.30 reads. */
export const MAX_IR_VERSION = 13

/** Versions that took an operator away, with what replaces it. */
const REMOVED: Readonly<Record<string, readonly [version: number, instead: string]>> = {
  Affine: [10, 'Mul and Add'],
  Crop: [10, 'Slice'],
  DynamicSlice: [10, 'Slice'],
  GRUUnit: [10, 'GRU'],
  GivenTensorFill: [10, 'Constant'],
  ImageScaler: [10, 'Mul and Add'],
  ParametricSoftplus: [10, 'Softplus'],
  Scale: [10, 'Mul'],
  ScaledTanh: [10, 'Tanh'],
  Scatter: [11, 'ScatterElements'],
  Upsample: [10, 'Resize'],
}

const REMOVED_ML: typeof REMOVED = {
  TreeEnsembleClassifier: [5, 'TreeEnsemble'],
  TreeEnsembleRegressor: [5, 'TreeEnsemble'],
}

const since = new Map(
  Object.entries(OPERATORS).map(([domain, versions]) => [
    domain,
    new Map(
      Object.entries(versions).flatMap(([version, names]) =>
        names
          .trim()
          .split(/\s+/)
          .map((name) => [name, Number(version)] as const),
      ),
    ),
  ]),
)

/** The default domain has two names. */
export function domainOf(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain
}

/** Whether a domain's operators are listed here at all. */
export function isKnownDomain(domain: string): boolean {
  return since.has(domainOf(domain))
}

/** Version that brought an operator; undefined if there is none of that name. */
export function operatorSince(domain: string, name: string): number | undefined {
  return since.get(domainOf(domain))?.get(name)
}

/** Version that took an operator away, and what replaces it; undefined if none did. */
export function operatorRemoved(
  domain: string,
  name: string,
): { readonly version: number; readonly instead: string } | undefined {
  const table: Readonly<Record<string, typeof REMOVED>> = { '': REMOVED, 'ai.onnx.ml': REMOVED_ML }
  const entries = table[domainOf(domain)]
  const entry = entries && Object.hasOwn(entries, name) ? entries[name] : undefined
  return entry && { version: entry[0], instead: entry[1] }
}
