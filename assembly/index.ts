export { panelInt8, productInt8, quantizePatches, quantizeRows, quantizeStrip, rangeOfRow, copyTile, eight } from "./int8";
export { packColumns, packColumnsTransposed, packRows, panelF32, panelFast, productF32, widenHalves } from "./f32";
export { attendStrip, attentionHead, attentionScratch, exponents, maskStrip, scoreStrip, weightStrip } from "./attention";
export { attendInt8, attentionInt8, attentionInt8Scratch, exponentsInt8, maskInt8, packWeights, scoreInt8, weightInt8 } from "./attention-int8";
export { argument, normRow, normRows, reduceF32, reduceI32, softmaxRow, softmaxRows } from "./norm";
export { binary, cast, gelu, geluTanh, notU8, rowF32, rowI32, rowU8, select, selectRow, silu, tanh, unaryF32, unaryI32 } from "./elementwise";
export { copy, copyPlane, cumulativeI32, fill32, fill8, gather, gatherElements, gatherRows, iota } from "./movement";
export { addClamped, depthwise, depthwise3, depthwise3by2, depthwiseAny, layPlane, packPatches, pool, poolRow, quantizeStrips, resize, stripAnywhere } from "./convolution";
export { probeInt8 } from "./probe";
