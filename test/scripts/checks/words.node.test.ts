import { describe, expect, it } from 'vitest'
import { wordsInDocument, wordsInMessages, wordsInNames } from '../../../scripts/checks/word-rules.ts'

const words = (found: readonly { line: number; word: string }[]) => found.map(({ line, word }) => `${line} ${word}`)

describe('words that messages and documents avoid', () => {
  it('are found in a document, over line breaks too, with their lines', () => {
    const document = 'Mend it.\n\nA request goes\non to an origin, and nobody\nis told.\n\nWhat came is none.'
    expect(words(wordsInDocument(document))).toEqual(['1 Mend', '3 goes on', '4 nobody', '7 is none'])
  })

  it('are not looked for in code, nor are plain uses of the same words', () => {
    const document =
      'A reason is `too-dear`.\n\n```sh\necho mend\n```\n\nIf there is none, amend it. Tensors are strided.'
    expect(wordsInDocument(document)).toEqual([])
  })

  it('are found in the strings and templates of a module', () => {
    const source = `const a = 'Mend the file.'
const b = \`\${a}: nobody
  asked, \${a} strays\`
const c = "it's dear to all"`
    expect(words(wordsInMessages('src/a.ts', source))).toEqual(['1 Mend', '2 nobody', '3 strays', '4 dear'])
  })

  it('are not looked for in comments, names and paths', () => {
    const source = "// Nobody asks.\nimport { mend } from './stray.ts'\nexport const nobody = mend('too-dear')"
    expect(wordsInMessages('src/a.ts', source)).toEqual([])
  })

  it('are found in the names of a module and of its file, once each, and not in its texts', () => {
    const source = "// A turnstile.\nconst quantisedBytes = 'stray'\nclass Turnstile {\n  #unmend = quantisedBytes\n}"
    expect(words(wordsInNames('src/even-stray.ts', source))).toEqual([
      '1 even-stray',
      '2 quantisedBytes',
      '3 Turnstile',
      '4 unmend',
    ])
    expect(wordsInNames('src/a.ts', 'const amendment = quantize(strided)')).toEqual([])
  })
})
