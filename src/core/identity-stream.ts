export interface IdentityStream {
  /** Whether it is done with a piece as soon as that has been written. */
  readonly native: boolean
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
}

type Constructor = new (length?: number) => Omit<IdentityStream, 'native'>

/**
 * A stream that hands on what is written into it. In workerd it is one of the platform's own, which holds nothing and, where
 * the length is known, has a response declare it and fails if less comes.
 */
export function identityStream(length: number | undefined): IdentityStream {
  const { FixedLengthStream, IdentityTransformStream } = globalThis as {
    FixedLengthStream?: Constructor
    IdentityTransformStream?: Constructor
  }
  if (FixedLengthStream === undefined || IdentityTransformStream === undefined) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    return { native: false, readable, writable }
  }
  const { readable, writable } = length === undefined ? new IdentityTransformStream() : new FixedLengthStream(length)
  return { native: true, readable, writable }
}
