import { checkData, DataType, dimsOf, integersOf, isExternal } from './data.ts'
import { nodeLabel, OnnxError, safeName } from './errors.ts'
import { externalRefOf } from './external.ts'
import {
  AttributeProto_AttributeType as AttributeType,
  type NodeProto,
  type SparseTensorProto,
  type TensorProto,
  type TypeProto,
} from './schema/onnx_pb.js'

/** @throws OnnxError unsupported, invalid_graph, external_data: what `checkData` and `externalRefOf` find */
export function checkTensor(tensor: TensorProto): void {
  checkData(tensor)
  if (isExternal(tensor)) externalRefOf(tensor)
}

/**
 * Values of one dimension, and as many indices: positions in the whole, or one row of coordinates each.
 * @throws OnnxError invalid_graph
 */
export function checkSparse({ values, indices, dims }: SparseTensorProto): void {
  const name = values?.name ?? ''
  const fault = (reason: string): OnnxError =>
    new OnnxError('invalid_graph', `Sparse tensor "${safeName(name)}" ${reason}. Export the model again.`, {
      node: name,
    })
  if (values === undefined) throw fault('has no values')
  checkTensor(values)
  const shape = dimsOf({ dims, name })
  const [count, ...others] = dimsOf(values)
  if (count === undefined || others.length > 0) throw fault('has values that are not a list')
  if (indices === undefined) {
    if (count > 0) throw fault('has no indices')
    return
  }
  checkTensor(indices)
  if (indices.dataType !== DataType.INT64) throw fault('has indices that are not 64-bit integers')
  const [rows, rank, ...more] = dimsOf(indices)
  const linear = rank === undefined
  if (rows !== count || more.length > 0 || (!linear && rank !== shape.length)) {
    throw fault(`has ${count} values and indices of another shape`)
  }
  if (isExternal(indices)) return
  const total = shape.reduce((product, dimension) => product * dimension, 1)
  const inside = integersOf(indices).every((index, at) => {
    const limit = linear ? total : (shape[at % shape.length] ?? 0)
    return index >= 0 && index < limit
  })
  if (!inside) throw fault('has an index outside its dimensions')
}

/** What an attribute of each of these types has to hold. */
const CONTENT = {
  [AttributeType.TENSOR]: 't',
  [AttributeType.GRAPH]: 'g',
  [AttributeType.SPARSE_TENSOR]: 'sparseTensor',
  [AttributeType.TYPE_PROTO]: 'tp',
} as const

/** A node's attributes without their graphs. @param inFunction whether they may refer to a function's attributes */
export function checkAttributes(node: NodeProto, inFunction: boolean): void {
  const names = new Set<string>()
  for (const attribute of node.attribute) {
    const { name, type, refAttrName } = attribute
    const fault = (code: 'unsupported' | 'invalid_graph', reason: string): OnnxError =>
      new OnnxError(code, `${nodeLabel(node)}: attribute "${safeName(name)}" ${reason}. Export the model again.`, {
        node: node.name,
      })
    if (names.has(name)) throw fault('invalid_graph', 'occurs twice')
    names.add(name)
    if (AttributeType[type] === undefined) throw fault('unsupported', `is of the unknown type ${type}`)
    if (refAttrName !== '') {
      if (!inFunction) throw fault('invalid_graph', 'refers to an attribute of a function, outside of any')
      continue
    }
    const content = CONTENT[type as keyof typeof CONTENT]
    if (content !== undefined && attribute[content] === undefined) throw fault('invalid_graph', 'is empty')
    if (attribute.t) checkTensor(attribute.t)
    attribute.tensors.forEach(checkTensor)
    if (attribute.sparseTensor) checkSparse(attribute.sparseTensor)
    attribute.sparseTensors.forEach(checkSparse)
    if (attribute.tp) checkType(attribute.tp, name)
    for (const item of attribute.typeProtos) checkType(item, name)
  }
}

/** @throws OnnxError unsupported for element types that do not exist */
export function checkType(root: TypeProto, name: string): void {
  let type: TypeProto | undefined = root
  while (type !== undefined) {
    const { value }: TypeProto = type
    switch (value.case) {
      case 'tensorType':
      case 'sparseTensorType':
        checkElement(value.value.elemType, name)
        return
      case 'sequenceType':
      case 'optionalType':
        type = value.value.elemType
        break
      case 'mapType':
        checkElement(value.value.keyType, name)
        type = value.value.valueType
        break
      default:
        return
    }
  }
}

function checkElement(type: number, name: string): void {
  if (DataType[type] !== undefined) return
  throw new OnnxError('unsupported', `"${safeName(name)}" is of the unknown element type ${type}.`, { node: name })
}
