"""Byte-level BPE for the arithmetic model: trainer, encoder, decoder and tokenizer.json writer.

The algorithm is that of GPT-2 (Sennrich et al., 2016, over bytes). `Bpe.encode` must give
the ids that the `tokenizer.json` of `Bpe.file` gives in Hugging Face's `tokenizers` and in
`@huggingface/tokenizers`. Only ASCII is encoded here, so the pattern names its classes
instead of Unicode's.
"""
import re
from collections import Counter

# In this order they have the ids 0, 1 and 2; the first also pads.
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END_OF_TEXT, START, END)

_special = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")
_digits = re.compile("([0-9])")
_words = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[^\sA-Za-z]+|\s+(?!\S)|\s+")


def byte_letters():
    """GPT-2's printable letter for each byte: itself where it prints, else one from U+0100 on."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in prints]
    return {**{b: chr(b) for b in prints}, **{b: chr(0x100 + i) for i, b in enumerate(others)}}


LETTERS = byte_letters()
BYTES = {letter: byte for byte, letter in LETTERS.items()}


def words(text):
    """What the pre-tokenizer makes of a text: every digit alone, then GPT-2's words; in letters for bytes."""
    for part in _digits.split(text):
        for word in [part] if part.isdigit() else _words.findall(part):
            yield "".join(LETTERS[byte] for byte in word.encode("ascii"))


def joined(pieces, pair):
    """`pieces` with each occurrence of `pair` made one, from the left."""
    out, i = [], 0
    while i < len(pieces):
        whole = tuple(pieces[i : i + 2]) == pair
        out.append("".join(pair) if whole else pieces[i])
        i += 2 if whole else 1
    return out


def train_merges(texts, least):
    """Merges of the most frequent pair until none occurs `least` times; ties fall to code point order."""
    parts = (part for text in texts for part in _special.split(text) if part not in SPECIAL)
    count = Counter(word for part in parts for word in words(part))
    split = {word: list(word) for word in count}
    merges = []
    while True:
        pairs = Counter()
        for word, pieces in split.items():
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] += count[word]
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < least:
            return merges
        merges.append(best)
        split = {word: joined(pieces, best) for word, pieces in split.items()}


class Bpe:
    def __init__(self, merges):
        self.merges = merges
        self.rank = {pair: i for i, pair in enumerate(merges)}
        tokens = [*SPECIAL, *(LETTERS[byte] for byte in range(0x100)), *("".join(pair) for pair in merges)]
        self.ids = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
        self.tokens = list(self.ids)
        self.seen = {}

    def __len__(self):
        return len(self.tokens)

    def word(self, word):
        if word not in self.seen:
            pieces = list(word)
            while True:
                known = [pair for pair in zip(pieces, pieces[1:]) if pair in self.rank]
                if not known:
                    break
                pieces = joined(pieces, min(known, key=self.rank.get))
            self.seen[word] = [self.ids[piece] for piece in pieces]
        return self.seen[word]

    def encode(self, text):
        out = []
        for part in _special.split(text):
            if part in SPECIAL:
                out.append(self.ids[part])
                continue
            for word in words(part):
                out += self.word(word)
        return out

    def decode(self, ids):
        letters = "".join(self.tokens[i] for i in ids if i >= len(SPECIAL))
        return bytes(BYTES[letter] for letter in letters).decode("utf-8", "replace")

    def file(self):
        """The contents of `tokenizer.json`."""
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        added = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{"id": i, "content": token, **added} for i, token in enumerate(SPECIAL)],
            "normalizer": None,
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
            },
            "post_processor": None,
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "vocab": self.ids,
                "merges": [" ".join(pair) for pair in self.merges],
            },
        }
