/** Bytes of base64 text, standard or URL-safe, padded or not, with or without line breaks; undefined if it is none. */
export function bytesFromBase64(text: string): Uint8Array | undefined {
  const standard = text.replace(/-/g, '+').replace(/_/g, '/')
  let binary: string
  try {
    binary = atob(standard)
  } catch {
    return undefined
  }
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}
