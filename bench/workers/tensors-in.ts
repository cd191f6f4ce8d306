import { ARRAY_TYPES, type Datatype, type Tensors, tensor } from '../../src/core/tensors.ts'

interface TensorHeader {
  readonly name: string
  readonly datatype: Exclude<Datatype, 'BYTES'>
  readonly shape: readonly number[]
}

/** Tensors of a request to the benchmark's own Workers: their bytes one after the other, described in a header. */
export async function tensorsIn(request: Request): Promise<Tensors> {
  const headers = JSON.parse(request.headers.get('x-tensors') ?? '[]') as TensorHeader[]
  const body = await request.arrayBuffer()
  let at = 0
  return new Map(
    headers.map(({ name, datatype, shape }) => {
      const count = shape.reduce((product, dimension) => product * dimension, 1)
      const data = new ARRAY_TYPES[datatype](body, at, count)
      at += data.byteLength
      return [name, tensor(datatype, shape, data as never)]
    }),
  )
}
