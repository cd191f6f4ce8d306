import { TextTokenizer } from '../media/text/tokenizer.ts'

const LETTERS = [...'abcdefghijklmnopqrstuvwxyz']

/** Small tokenizers of the kinds that models have, in the forms of BERT, XLM-RoBERTa and GPT-2. */
const TOKENIZERS: readonly object[] = [
  {
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', sep: ['[UNK]', 0], cls: ['[UNK]', 0] },
    added_tokens: [{ id: 0, content: '[UNK]', special: true }],
    model: { type: 'WordPiece', unk_token: '[UNK]', vocab: numbered(['[UNK]', ...LETTERS, '##a', '##b']) },
  },
  {
    normalizer: { type: 'NFKC' },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Metaspace' }] },
    model: { type: 'Unigram', unk_id: 0, vocab: ['<unk>', '\u2581', ...LETTERS].map((piece, i) => [piece, -i]) },
  },
  {
    pre_tokenizer: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: numbered([...LETTERS, 'ab']), merges: ['a b'] },
  },
]

/** Reads a text with each: V8 compiles what tokenizers are made of, and the first text of a request does not pay for it. */
export function rehearseTexts(): void {
  for (const file of TOKENIZERS) {
    const tokenizer = TextTokenizer.parse(new TextEncoder().encode(JSON.stringify(file)))
    for (const text of ['About a cab, 2 of them.', 'Caf\u00e9 \u4e2d']) tokenizer.encode(text, 16)
  }
}

function numbered(texts: readonly string[]): Record<string, number> {
  return Object.fromEntries(texts.map((text, id) => [text, id]))
}
