/** What a stream of an answer is made of. */
export interface StreamSource<T> {
  readonly items: AsyncIterator<T, void>
  /** An item as text; empty for nothing. */
  readonly write: (item: T) => string
  /** What is said of a failure on the way; empty for nothing, where nobody listens any more. */
  readonly failed: (error: unknown) => string
  /** Called once, whichever way it ends. */
  readonly ended: () => void
  /** The reader has gone: the work behind the items is to end. */
  readonly cancel: (reason: unknown) => void
}

const utf8 = new TextEncoder()

/** A body that is written as it is read: an item is asked for when the reader wants more, and not before. */
export function byteStream<T>(source: StreamSource<T>): ReadableStream<Uint8Array> {
  let open = true
  const end = (): void => {
    if (!open) return
    open = false
    source.ended()
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          for (;;) {
            const { done, value } = await source.items.next()
            if (!open) return
            if (done) {
              controller.close()
              end()
              return
            }
            const text = source.write(value)
            if (text === '') continue
            controller.enqueue(utf8.encode(text))
            return
          }
        } catch (error) {
          if (!open) return
          const text = source.failed(error)
          if (text !== '') controller.enqueue(utf8.encode(text))
          controller.close()
          end()
        }
      },
      async cancel(reason) {
        if (!open) return
        source.cancel(reason)
        // A token that is being computed cannot be interrupted; the place is given up when it is done.
        await source.items.return?.().catch(() => {})
        end()
      },
    },
    { highWaterMark: 0 },
  )
}
