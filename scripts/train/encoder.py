#!/usr/bin/env python3
"""Trains a small transformer encoder on the film reviews; writes test/fixtures/models/encoder/model.onnx and tokenizer.json.

A fixture of the tests: the smallest network that has all that quantizing BERT
meets (tables read by `Gather`, products with constant and with computed
operands, `Softmax`, `LayerNormalization`, GELU), with weights that were trained.

Inputs `input_ids`, `attention_mask` int64 [batch, sequence]; output `logits`
float32 [batch, 2] (negative, positive). At most 256 tokens.

The held-out reviews are those of `reviews.py`; `--dev` measures on its other fold
and writes nothing.
"""
import argparse
import gzip
import hashlib
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from reviews import ROOT, logits_of, padded_batch, report
from wordpiece import Encoder, tokenizer_json, train_vocabulary

SEED = 20240607
WHOLE_WORDS, SUFFIXES = 6400, 500
MAX_TOKENS = 256
# The first that has LayerNormalization as one operator.
OPSET = 17

LAYERS, HIDDEN, HEADS, INNER = 2, 64, 4, 256
EMBEDDING_STD = 0.05
TOKEN_DROPOUT, DROPOUT = 0.2, 0.2
# Crops cost the square of their length in attention: most of the training sees parts of reviews, the last of it
# texts as long as those served.
STAGES = ((6, 96), (1, 256))
BATCH, LR, DECAY = 32, 1.5e-3, 0.01


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))

    def forward(self, x, hidden):
        """`hidden` [batch, 1, 1, sequence] is 0 where a token may be looked at, and far below where not."""
        def heads(y):
            return y.view(y.shape[0], y.shape[1], HEADS, HIDDEN // HEADS).transpose(1, 2)

        q, k, v = heads(self.query(x)), heads(self.key(x)), heads(self.value(x))
        share = (q @ k.transpose(2, 3) / math.sqrt(HIDDEN // HEADS) + hidden).softmax(3)
        return self.out((share @ v).transpose(1, 2).reshape(x.shape))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = Attention()
        self.grow, self.shrink = nn.Linear(HIDDEN, INNER), nn.Linear(INNER, HIDDEN)
        self.first, self.second = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)

    def forward(self, x, hidden):
        x = self.first(x + F.dropout(self.attention(x, hidden), DROPOUT, self.training))
        return self.second(x + F.dropout(self.shrink(F.gelu(self.grow(x))), DROPOUT, self.training))


class Transformer(nn.Module):
    """BERT's encoder (post-norm, learned positions), the mean of its vectors, and two classes."""

    def __init__(self, words):
        super().__init__()
        self.word = nn.Embedding(words, HIDDEN)
        self.place = nn.Embedding(MAX_TOKENS, HIDDEN)
        for table in (self.word, self.place):
            nn.init.normal_(table.weight, 0, EMBEDDING_STD)
        self.norm = nn.LayerNorm(HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.head = nn.Linear(HIDDEN, 2)

    def forward(self, input_ids, attention_mask):
        # Any id may stand where the mask is 0, one outside the vocabulary too.
        ids = input_ids * attention_mask.long()
        mask = attention_mask.float()
        if self.training:
            mask = mask * (torch.rand(mask.shape) >= TOKEN_DROPOUT)
        x = self.norm(self.word(ids) + self.place.weight[: ids.shape[1]])
        x = F.dropout(x, DROPOUT, self.training)
        hidden = (1 - mask)[:, None, None, :] * -10000.0
        for layer in self.layers:
            x = layer(x, hidden)
        mask = mask.unsqueeze(2)
        mean = (x * mask).sum(1) / mask.sum(1).clamp(min=1)
        return self.head(F.dropout(mean, DROPOUT, self.training))


def crop(doc, limit, rng):
    """A random part of a text, which keeps the token that every text begins with."""
    if len(doc) <= limit:
        return doc
    start = int(rng.integers(1, len(doc) - limit + 2))
    return np.concatenate([doc[:1], doc[start : start + limit - 1]])


def train(docs, labels, words):
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    model = Transformer(words)
    per_epoch = len(docs) // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY)
    limits = [limit for epochs, limit in STAGES for _ in range(epochs)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LR, total_steps=len(limits) * per_epoch, pct_start=0.15
    )
    target = torch.from_numpy(labels)
    for epoch, limit in enumerate(limits):
        started, total = time.time(), 0.0
        cropped = [crop(doc, limit, rng) for doc in docs]
        # Batches of about the same length waste little on padding; the factor keeps their make-up changing.
        length = np.array([len(doc) for doc in cropped]) * np.exp(rng.normal(0, 0.15, len(docs)))
        groups = np.array_split(np.argsort(length, kind="stable"), per_epoch)
        for g in rng.permutation(per_epoch):
            ids, mask = padded_batch([cropped[i] for i in groups[g]])
            loss = F.cross_entropy(model(ids, mask), target[groups[g]])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(ids)
        print(f"epoch {epoch + 1}  loss {total / len(docs):.4f}  {time.time() - started:.1f} s", flush=True)
    return model.eval()


def export(model, path):
    ids = torch.tensor([[2, 7, 8, 9], [2, 7, 0, 0]])
    dynamic = {0: "batch", 1: "sequence"}
    torch.onnx.export(
        model, (ids, (ids > 0).long()), str(path), opset_version=OPSET,
        input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_axes={"input_ids": dynamic, "attention_mask": dynamic, "logits": {0: "batch"}},
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "datasets")
    parser.add_argument("--reviews", default="imdb-train.jsonl.gz")
    parser.add_argument("--out", type=Path, default=ROOT / "test" / "fixtures" / "models" / "encoder")
    parser.add_argument("--dev", action="store_true", help="measure on another fold and write nothing")
    args = parser.parse_args()

    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    with gzip.open(args.data / args.reviews, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    fold = np.arange(len(rows)) % 5
    measured = fold == (3 if args.dev else 4)
    unseen = {rows[i]["text"] for i in np.flatnonzero(measured)}
    # The data hold some reviews twice: a copy of a measured review must not be trained on.
    kept = [i for i in np.flatnonzero(~measured & (fold != 4)) if rows[i]["text"] not in unseen]

    vocabulary = train_vocabulary((rows[i]["text"] for i in kept), WHOLE_WORDS, SUFFIXES)
    encoder = Encoder(vocabulary)
    encoded = [np.array(encoder.encode(row["text"])) for row in rows]
    labels = np.array([row["label"] for row in rows])
    print(f"{len(vocabulary)} pieces, {np.mean([len(ids) for ids in encoded]):.0f} tokens a review", flush=True)

    started = time.time()
    model = train([encoded[i] for i in kept], labels[kept], len(vocabulary))
    print(f"trained on {len(kept)} reviews in {time.time() - started:.0f} s")
    if not args.dev:
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / "model.onnx"
        export(model, path)
        # An explicit newline, and ASCII only: the file is the same wherever it is written.
        (args.out / "tokenizer.json").write_bytes(
            json.dumps(tokenizer_json(vocabulary), separators=(",", ":")).encode("ascii") + b"\n"
        )
        print(f"{path.name} {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")
    docs = [encoded[i][:MAX_TOKENS] for i in np.flatnonzero(measured)]
    report("dev fold" if args.dev else "held-out", logits_of(model, docs), labels[measured])


if __name__ == "__main__":
    main()
