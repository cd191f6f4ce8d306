#!/usr/bin/env python3
"""Trains a small causal language model that answers sums; writes the files of models/abacus.

Inputs and outputs are those of Hugging Face's exports with a cache of keys and values:
`input_ids`, `position_ids` int64 [batch, sequence], `attention_mask` int64 [batch, past + sequence],
`past_key_values.{i}.key` and `.value` float32 [batch, HEADS, past, HEAD]; `logits`
float32 [batch, sequence, vocabulary] and `present.{i}.key` and `.value`, which are the past
with what was read now after it. `past` may be 0.

Pairs of operands that `sums.held_out` names are in no text that is trained on; the accuracy
printed at the end is measured on them. `--steps 0` writes the model untrained.
"""
import argparse
import hashlib
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bpe import END, END_OF_TEXT, Bpe, train_merges
from sums import LARGEST, answer, example, held_out, prompt

ROOT = Path(__file__).resolve().parents[2]
SEED = 20240607
# Texts that the merges are learned from, and how often a pair has to occur in them.
MERGE_TEXTS, MERGE_LEAST = 4000, 60
# The first that has LayerNormalization as one operator.
OPSET = 17

LAYERS, HEADS, HEAD, INNER = 3, 3, 32, 384
HIDDEN = HEADS * HEAD
CONTEXT = 256
ROTARY_BASE = 10000.0
EMBEDDING_STD = 0.02
# Far below any logit of attention, and finite: a row of padding has nothing to look at, and must not become NaN.
UNSEEN = -10000.0

STEPS, BATCH, LR, DECAY = 5000, 64, 3e-3, 0.05
# Batches sorted by length together, so that little of each is padding.
POOL = 32

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def rotary_tables():
    """Cosines and sines of rotary positions (Su et al., 2021), [CONTEXT, HEAD], halves side by side as in Llama."""
    speed = ROTARY_BASE ** (-torch.arange(0, HEAD, 2, dtype=torch.float64) / HEAD)
    angle = torch.arange(CONTEXT, dtype=torch.float64)[:, None] * speed
    angle = torch.cat([angle, angle], 1)
    return angle.cos().float(), angle.sin().float()


def turned(x, cos, sin):
    half = HEAD // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], 3) * sin


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))

    def forward(self, x, cos, sin, bias, past):
        """`bias` [batch, 1, sequence, past + sequence]; gives the new vectors and the present keys and values."""
        def heads(y):
            return y.view(y.shape[0], y.shape[1], HEADS, HEAD).transpose(1, 2)

        q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        q, k = turned(q, cos, sin), turned(k, cos, sin)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        share = (q @ k.transpose(2, 3) * HEAD**-0.5 + bias).softmax(3)
        found = (share @ v).transpose(1, 2)
        return self.out(found.reshape(found.shape[0], found.shape[1], HIDDEN)), (k, v)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = Attention()
        self.grow, self.shrink = nn.Linear(HIDDEN, INNER), nn.Linear(INNER, HIDDEN)
        self.first, self.second = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)

    def forward(self, x, cos, sin, bias, past):
        found, present = self.attention(self.first(x), cos, sin, bias, past)
        x = x + found
        return x + self.shrink(F.relu(self.grow(self.second(x)))), present


class Decoder(nn.Module):
    """GPT-2's layers (pre-norm) with rotary positions and ReLU."""

    def __init__(self, words):
        super().__init__()
        self.word = nn.Embedding(words, HIDDEN)
        nn.init.normal_(self.word.weight, 0, EMBEDDING_STD)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(HIDDEN)
        self.head = nn.Linear(HIDDEN, words, bias=False)
        cos, sin = rotary_tables()
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)

    def forward(self, input_ids, attention_mask, position_ids, *past):
        """`past` is key and value of each layer in turn, or nothing. Gives the logits, then the present likewise."""
        x, presents = self.vectors(input_ids, attention_mask, position_ids, past)
        return (self.head(x), *presents)

    def vectors(self, input_ids, attention_mask, position_ids, past=()):
        cos, sin = (F.embedding(position_ids, table).unsqueeze(1) for table in (self.cos, self.sin))
        keys = torch.arange(attention_mask.shape[1])
        queries = keys[attention_mask.shape[1] - input_ids.shape[1] :]
        seen = (keys[None, :] <= queries[:, None])[None, None] & (attention_mask != 0)[:, None, None, :]
        bias = torch.where(seen, torch.tensor(0.0), torch.tensor(UNSEEN))
        x = self.word(input_ids)
        presents = []
        for i, layer in enumerate(self.layers):
            x, present = layer(x, cos, sin, bias, past[2 * i : 2 * i + 2] if past else None)
            presents += present
        return self.norm(x), presents


def padded(rows, pad=0):
    """Lists of numbers to int64 [rows, longest], padded on the right."""
    out = torch.full((len(rows), max(map(len, rows))), pad)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.tensor(row)
    return out


def encoded(bpe, rng):
    """Ids of an example, and of each the id that is to follow, or -100 where that is not learned."""
    ids, learned = [], []
    for part, wanted in example(rng):
        piece = bpe.encode(part)
        ids += piece
        learned += [wanted] * len(piece)
    return ids[:-1], [i if wanted else -100 for i, wanted in zip(ids[1:], learned[1:])]


def batches(bpe, steps, rng):
    for first in range(0, steps, POOL):
        count = min(POOL, steps - first)
        pool = sorted((encoded(bpe, rng) for _ in range(count * BATCH)), key=lambda row: len(row[0]))
        for i in rng.permutation(count):
            rows = pool[i * BATCH : (i + 1) * BATCH]
            yield padded([ids for ids, _ in rows]), padded([wanted for _, wanted in rows], -100)


def train(model, bpe, steps):
    rng = np.random.default_rng(SEED + 1)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}], lr=LR, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=steps, pct_start=0.1)
    started, total = time.time(), 0.0
    for step, (ids, wanted) in enumerate(batches(bpe, steps, rng), 1):
        # Padding is on the right, where nothing that is learned looks.
        position = torch.arange(ids.shape[1]).expand(ids.shape)
        learned = wanted >= 0
        found = model.vectors(ids, torch.ones_like(ids), position)[0][learned]
        loss = F.cross_entropy(model.head(found), wanted[learned])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        total += loss.item()
        if step % 200 == 0:
            print(f"step {step}  loss {total / 200:.5f}  {time.time() - started:.0f} s", flush=True)
            total = 0.0


def written(model, bpe, prompts, most=24):
    """Greedy answers to prompts: padded on the left, then token by token from the cache."""
    rows = [bpe.encode(text) for text in prompts]
    longest, stop = max(map(len, rows)), {bpe.ids[END], bpe.ids[END_OF_TEXT]}
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    position = (mask.cumsum(1) - 1).clamp(min=0)
    out, done, past = [[] for _ in rows], [False] * len(rows), ()
    with torch.no_grad():
        for _ in range(most):
            logits, *past = model(ids, mask, position, *past)
            best = logits[:, -1].argmax(1)
            for i, token in enumerate(best.tolist()):
                done[i] = done[i] or token in stop
                if not done[i]:
                    out[i].append(token)
            if all(done):
                break
            ids, position = best[:, None], position[:, -1:] + 1
            mask = F.pad(mask, (0, 1), value=1)
    return [bpe.decode(row) for row in out]


def measure(model, bpe, name, asked):
    """`asked`: prompts and the answers that are right."""
    right = 0
    for first in range(0, len(asked), 256):
        part = asked[first : first + 256]
        right += sum(got == want for got, (_, want) in zip(written(model, bpe, [p for p, _ in part]), part))
    print(f"{name}: {right}/{len(asked)} = {100 * right / max(1, len(asked)):.2f} %", flush=True)


def report(model, bpe):
    pairs = [(a, b) for a in range(LARGEST + 1) for b in range(LARGEST + 1)]
    unseen = [pair for pair in pairs if held_out(*pair)]
    seen = [pair for pair in pairs[::7] if not held_out(*pair)]
    for name, kept in (("trained, every seventh", seen), ("held-out", unseen)):
        for minus in (False, True):
            word = "minus" if minus else "plus"
            measure(model, bpe, f"{name}, {word}", [
                (prompt([("user", f"What is {a} {word} {b}?")]), answer(a, b, minus)) for a, b in kept
            ])


def names():
    return [f"{i}.{part}" for i in range(LAYERS) for part in ("key", "value")]


def export(model, path):
    """Two rows, a past of five and three new tokens: sizes that are told apart in the traced shapes."""
    past = [torch.randn(2, HEADS, 5, HEAD) for _ in names()]
    mask = torch.ones(2, 8, dtype=torch.long)
    position = torch.tensor([[5, 6, 7], [5, 6, 7]])
    inputs = ["input_ids", "attention_mask", "position_ids", *(f"past_key_values.{name}" for name in names())]
    outputs = ["logits", *(f"present.{name}" for name in names())]
    new, both = "sequence_length", "past_sequence_length + sequence_length"
    torch.onnx.export(
        model, (torch.tensor([[7, 8, 9], [9, 8, 7]]), mask, position, *past), str(path), opset_version=OPSET,
        input_names=inputs, output_names=outputs,
        dynamic_axes={
            **{name: {0: "batch_size", 1: new} for name in ("input_ids", "position_ids", "logits")},
            "attention_mask": {0: "batch_size", 1: both},
            **{name: {0: "batch_size", 2: "past_sequence_length"} for name in inputs[3:]},
            **{name: {0: "batch_size", 2: both} for name in outputs[1:]},
        },
    )


def golden(model, bpe):
    """Prompts, ids, and PyTorch's logits for them without a cache, to compare other engines with."""
    cases = []
    for text in (prompt([("user", "What is 27 plus 58?")]), "90 minus 34 is"):
        ids = bpe.encode(text)
        with torch.no_grad():
            row = torch.tensor([ids])
            logits = model(row, torch.ones_like(row), torch.arange(len(ids))[None])[0][0]
        last = [[round(x, 5) for x in row] for row in logits[-2:].tolist()]
        cases.append({"prompt": text, "ids": ids, "logits": last})
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "abacus")
    parser.add_argument("--golden", type=Path, default=ROOT / "test" / "fixtures" / "abacus.json")
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()

    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    texts = ["".join(part for part, _ in example(rng)) for _ in range(MERGE_TEXTS)]
    bpe = Bpe(train_merges(texts, MERGE_LEAST))
    model = Decoder(len(bpe))
    size = sum(p.numel() for p in model.parameters())
    length = np.mean([len(bpe.encode(text)) for text in texts])
    print(f"{len(bpe)} tokens, {length:.0f} a text, {size} parameters", flush=True)

    started = time.time()
    if args.steps > 0:
        train(model, bpe, args.steps)
    model.eval()
    print(f"trained for {time.time() - started:.0f} s")

    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "model.onnx"
    export(model, path)
    # Explicit bytes, and ASCII only: the files are the same wherever they are written.
    (args.out / "tokenizer.json").write_bytes(json.dumps(bpe.file(), separators=(",", ":")).encode("ascii") + b"\n")
    (args.out / "chat_template.jinja").write_bytes(TEMPLATE.encode("ascii"))
    args.golden.write_bytes(json.dumps(golden(model, bpe), separators=(",", ":")).encode("ascii") + b"\n")
    print(f"{path.name} {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")
    report(model, bpe)


if __name__ == "__main__":
    main()
