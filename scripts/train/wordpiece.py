"""Vocabulary trainer, encoder and tokenizer.json writer for the review model.

`Encoder.encode` must give the same ids as the `tokenizer.json` that
`tokenizer_json` writes gives in Hugging Face's `tokenizers` and in
`@huggingface/tokenizers`. Character classes are therefore spelled out: `\\s` and
`\\w` mean different sets of characters in Python, Rust and JavaScript.
"""
import re
import unicodedata
from collections import Counter

PAD, UNK, CLS = "[PAD]", "[UNK]", "[CLS]"
SPECIAL = (PAD, UNK, CLS)
CONTINUES = "##"
MAX_WORD_CHARS = 64
MAX_SUFFIX_CHARS = 7

# ’ ‘ ´ ` and the apostrophes of Windows-1252 read as Latin-1.
APOSTROPHES = "[\u2018\u2019\u00b4\u0060\u0091\u0092]"
# The accents that NFKD splits off Latin letters. StripAccents would follow each runtime's Unicode version.
ACCENTS = "[\u0300-\u036f]"
LINE_BREAK = "<br */?>"
# Spaces, controls and invisible formatting characters, which separate words and are dropped.
IGNORED = "\\u0000-\\u0020\\u007f-\\u00a0\\u00ad\\u1680\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u3000\\ufeff"
WORD = (
    "[a-z]+(?:'[a-z]+)*"
    "|[0-9]+"
    "|[\\u0021-\\u002f\\u003a-\\u0040\\u005b-\\u0060\\u007b-\\u007e]"
    f"|[^\\u0021-\\u007e{IGNORED}]+"
)

_apostrophes, _accents, _line_break, _word = map(re.compile, (APOSTROPHES, ACCENTS, LINE_BREAK, WORD))


def words(text):
    """Normalizes a text and splits it into words; a run of characters outside ASCII is one word."""
    text = _accents.sub("", unicodedata.normalize("NFKD", _apostrophes.sub("'", text)))
    return _word.findall(_line_break.sub(" ", text.lower()))


def train_vocabulary(texts, whole_words, suffixes):
    """Special tokens, ASCII characters, the most frequent words, then the most shared word endings.

    Words are ranked by how many texts hold them, endings by how many of the
    words left out have them. Ties fall to code point order.
    """
    found_in = Counter()
    for text in texts:
        found_in.update(set(words(text)))
    ascii_words = {w: n for w, n in found_in.items() if w.isascii()}

    single = [chr(c) for c in range(0x21, 0x7F) if not chr(c).isupper()]
    inside = [CONTINUES + c for c in single if c.isalnum() or c == "'"]
    vocabulary = dict.fromkeys([*SPECIAL, *single, *inside])

    ranked = sorted(ascii_words, key=lambda w: (-ascii_words[w], w))
    vocabulary.update(dict.fromkeys(ranked[:whole_words]))

    endings = Counter()
    for word in ranked[whole_words:]:
        for size in range(2, min(MAX_SUFFIX_CHARS, len(word) - 2) + 1):
            endings[CONTINUES + word[-size:]] += 1
    shared = sorted(endings, key=lambda s: (-endings[s], s))[:suffixes]
    vocabulary.update(dict.fromkeys(shared))
    return {token: i for i, token in enumerate(vocabulary)}


class Encoder:
    def __init__(self, vocabulary):
        self.vocabulary = vocabulary
        self.known = {}

    def pieces(self, word):
        """Ids of one word: greedy, longest piece first; [UNK] where no pieces cover it."""
        ids = self.known.get(word)
        if ids is None:
            ids = self.known[word] = self._split(word)
        return ids

    def _split(self, word):
        unknown = [self.vocabulary[UNK]]
        if len(word) > MAX_WORD_CHARS:
            return unknown
        ids, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = self.vocabulary.get((CONTINUES if start else "") + word[start:end])
                if piece is not None:
                    break
            else:
                return unknown
            ids.append(piece)
            start = end
        return ids

    def encode(self, text):
        ids = [self.vocabulary[CLS]]
        for word in words(text):
            ids += self.pieces(word)
        return ids


def tokenizer_json(vocabulary):
    """The tokenizer as the object to write to tokenizer.json.

    `added_tokens` stays empty on purpose: with it, a visitor who types "[PAD]"
    or "[CLS]" would place that special token in the middle of the text.
    """
    cls = vocabulary[CLS]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Replace", "pattern": {"Regex": APOSTROPHES}, "content": "'"},
                {"type": "NFKD"},
                {"type": "Replace", "pattern": {"Regex": ACCENTS}, "content": ""},
                {"type": "Lowercase"},
                {"type": "Replace", "pattern": {"Regex": LINE_BREAK}, "content": " "},
            ],
        },
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": WORD}, "behavior": "Removed", "invert": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": CLS, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [
                {"SpecialToken": {"id": CLS, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 0}},
            ],
            "special_tokens": {CLS: {"id": CLS, "ids": [cls], "tokens": [CLS]}},
        },
        "decoder": {"type": "WordPiece", "prefix": CONTINUES, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": UNK,
            "continuing_subword_prefix": CONTINUES,
            "max_input_chars_per_word": MAX_WORD_CHARS,
            "vocab": vocabulary,
        },
    }
