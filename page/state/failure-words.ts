/** A failure as the page shows it. */
export interface FailureWords {
  readonly text: string
  readonly requestId: string | undefined
}

interface KnownFailure {
  readonly code: string
  readonly message: string
  readonly requestId?: string | undefined
  readonly retryAfter?: number | undefined
}

/** The client and the browser's engine are bundled apart, so that their errors are of two classes of one name. */
export function isVergeError(failure: unknown): failure is KnownFailure {
  return failure instanceof Error && failure.name === 'VergeError' && 'code' in failure
}

/** What is wrong and what to do. @param online whether this device has a network */
export function failureWords(failure: unknown, online: boolean): FailureWords {
  if (!isVergeError(failure)) {
    const text = 'The page itself failed. Reload it. If that does not help, report what you did to the operator.'
    return { text, requestId: undefined }
  }
  const { code, message, requestId, retryAfter } = failure
  if (code === 'network_error' && !online) {
    return { text: 'This device is offline. Try again when it is connected.', requestId: undefined }
  }
  if (code === 'network_error') {
    const text = 'The Worker cannot be reached. Check the connection, and that the Worker runs. Then try again.'
    return { text, requestId: undefined }
  }
  const wait = retryAfter === undefined ? '' : ` The same request may work in ${Math.ceil(retryAfter)} s.`
  return { text: `${message}${wait}`, requestId }
}
