import { encodeDoneEvent, encodeEvent } from '../../protocols/sse.ts'

/** What a stream of events is made of. */
export interface EventSource<T> {
  readonly items: AsyncIterator<T, void>
  /** An item as events, none or several. */
  readonly eventsOf: (item: T) => readonly unknown[]
  /** What is said of a failure on the way; undefined for nothing, where nobody listens any more. */
  readonly failed: (error: unknown) => unknown
  /** Called once, whichever way it ends. */
  readonly ended: () => void
  /** The reader has gone: the work behind the items is to end. */
  readonly cancel: (reason: unknown) => void
}

/**
 * Server-sent events as OpenAI has them: `data: {...}`, at last `data: [DONE]`; after a failure `data: {"error": ...}` and
 * no more. An item is asked for when the reader wants more, and not before.
 */
export function eventStream<T>(source: EventSource<T>): ReadableStream<Uint8Array> {
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
            const events = done ? [] : source.eventsOf(value)
            for (const event of events) controller.enqueue(encodeEvent(event))
            if (done) {
              controller.enqueue(encodeDoneEvent())
              controller.close()
              end()
            }
            if (done || events.length > 0) return
          }
        } catch (error) {
          if (!open) return
          const event = source.failed(error)
          if (event !== undefined) controller.enqueue(encodeEvent(event))
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
