/**
 * Tokenizers alone: a request opens one, or reads texts with it, and the client takes the CPU time of the isolate's thread. Clocks in
 * a Worker stand still while it computes.
 */
import { compiledTokenizer, TextTokenizer } from '../../src/media/text/tokenizer.ts'
import { rehearseTexts } from '../../src/rehearsal/texts.ts'

// As at the start of Verge's own Worker.
rehearseTexts()

let bytes = new Uint8Array()
let tokenizer: TextTokenizer | undefined
let texts: readonly string[] = []

const DO: Readonly<Record<string, (request: Request) => Promise<number> | number>> = {
  /** The bytes of a tokenizer, to be opened by a later request. */
  async bytes(request) {
    bytes = new Uint8Array(await request.arrayBuffer())
    return bytes.length
  },
  async texts(request) {
    texts = await request.json<string[]>()
    return texts.length
  },
  nothing: () => 0,
  /** The first tokens by a compiled tokenizer. */
  open: () => firstTokens(TextTokenizer.open(bytes)),
  /** The same of a tokenizer.json, as an isolate does of a model that was stored without its compiled form. */
  parse: () => firstTokens(TextTokenizer.open(compiledTokenizer(bytes))),
  read() {
    let tokens = 0
    for (const text of texts) tokens += tokenizer?.tokens(text).length ?? 0
    return tokens
  },
}

function firstTokens(opened: TextTokenizer): number {
  tokenizer = opened
  return opened.encode('The first words of a text, 2 of them.', 128).ids.length
}

export default {
  async fetch(request: Request): Promise<Response> {
    const task = DO[new URL(request.url).pathname.slice(1)]
    if (task === undefined) return Response.json({ error: 'not known' }, { status: 404 })
    return Response.json({ count: await task(request) })
  },
}
