/**
 * Whether an object anywhere in a JSON text has a name twice. `JSON.parse` takes the last of them and other parsers the
 * first, so that two readers would understand different things. Linear in the text.
 * @param text that `JSON.parse` accepts
 */
export function repeatsName(text: string): boolean {
  // A set of names for each open object, undefined for each open list.
  const open: (Set<string> | undefined)[] = []
  let at = 0
  while (at < text.length) {
    const char = text[at]
    if (char === '"') {
      const end = endOfString(text, at)
      const names = open.at(-1)
      if (names !== undefined && isName(text, end)) {
        const name = JSON.parse(text.slice(at, end)) as string
        if (names.has(name)) return true
        names.add(name)
      }
      at = end
      continue
    }
    if (char === '{') open.push(new Set())
    else if (char === '[') open.push(undefined)
    else if (char === '}' || char === ']') open.pop()
    at++
  }
  return false
}

/** Where a string ends, behind its closing quote. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

/** Whether a string that ends here is a name: a colon follows. A text of white space alone is read once, after each string. */
function isName(text: string, end: number): boolean {
  let at = end
  while (at < text.length && ' \t\n\r'.includes(text[at] ?? '')) at++
  return text[at] === ':'
}
