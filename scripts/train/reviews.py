#!/usr/bin/env python3
"""Trains the film review sentiment model; writes models/reviews/model.onnx and tokenizer.json.

Inputs `input_ids`, `attention_mask` int64 [batch, sequence]; output `logits`
float32 [batch, 2] (negative, positive).

Reviews whose line index leaves remainder 4 when divided by 5 are held out:
neither the vocabulary nor a weight has seen them, and the accuracy printed at
the end is measured on them. `--dev` also leaves out remainder 3, measures on that
instead and writes nothing; every setting below was chosen on that fold.
"""
import argparse
import gzip
import hashlib
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.onnx import register_custom_op_symbolic

from wordpiece import Encoder, tokenizer_json, train_vocabulary

ROOT = Path(__file__).resolve().parents[2]
SEED = 20240607
WHOLE_WORDS, SUFFIXES = 20000, 1500
MAX_TOKENS = 2048
OPSET = 13

# A prime, so that the remainder depends on every bit of the sum.
PAIR_BUCKETS = 524287
HASH_PREVIOUS, HASH_CURRENT = 1000003, 7919
# Far above the usual 1: a pair seen in a handful of reviews says nothing about the next review.
NB_SMOOTHING = 10.0
EPOCHS_COUNTS, BATCH_COUNTS, LR_COUNTS = 7, 128, 2e-2

VECTOR, FILTERS, WINDOWS = 16, 64, (1, 3, 5)
EMBEDDING_STD = 0.1
TOKEN_DROPOUT, FEATURE_DROPOUT = 0.3, 0.5
EPOCHS_PHRASES, BATCH_PHRASES, LR_PHRASES = 8, 64, 2e-3
CROP_TOKENS = 400
# Share of training texts cut down to a few words, so that the score of a one-line text is not overconfident.
SHORT_SHARE, SHORT_TOKENS = 0.1, (4, 80)

MIX_COUNTS, MIX_PHRASES = 0.5, 0.3


def pair_hash(previous, current):
    return (previous * HASH_PREVIOUS + current * HASH_CURRENT) % PAIR_BUCKETS


class Counts(nn.Module):
    """Naive Bayes weighted words and pairs of neighbours (Wang and Manning, 2012), one number for each.

    `slots` numbers the words first and the hashed pairs after them.
    """

    def __init__(self, words, ratios):
        super().__init__()
        self.words = words
        self.register_buffer("ratios", ratios)
        self.weight = nn.Parameter(torch.ones(len(ratios), 1))
        self.scale = nn.Parameter(torch.tensor(0.3))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, slots, lengths):
        first = F.pad(lengths.cumsum(0), (1, 0))[:-1]
        flat = torch.cat(slots)
        total = F.embedding_bag(flat, self.weight, first, mode="sum", per_sample_weights=self.ratios[flat])[:, 0]
        tokens = (lengths + 1) / 2
        return total * self.scale / tokens.sqrt() + self.bias

    def tables(self):
        folded = self.weight * self.ratios[:, None] * self.scale
        return folded[: self.words], folded[self.words :]


class Phrases(nn.Module):
    """Word vectors, filters over windows of them, the strongest match of each filter, and the mean vector."""

    def __init__(self, words):
        super().__init__()
        self.vector = nn.Embedding(words, VECTOR)
        nn.init.normal_(self.vector.weight, 0, EMBEDDING_STD)
        self.filters = nn.ModuleList(nn.Conv1d(VECTOR, FILTERS, w, padding=w // 2) for w in WINDOWS)
        self.head = nn.Linear(FILTERS * len(WINDOWS) + VECTOR, 1)

    def features(self, vectors, mask):
        """`vectors` [batch, sequence, VECTOR] is zero where `mask` [batch, sequence, 1] is."""
        across, kept = vectors.transpose(1, 2), mask.transpose(1, 2)
        found = [(F.relu(filters(across)) * kept).max(2)[0] for filters in self.filters]
        root = mask.sum(1).clamp(min=1).sqrt()
        return torch.cat([*found, vectors.sum(1) / root], 1)

    def forward(self, ids, mask):
        mask = mask.unsqueeze(2)
        vectors = self.vector(ids) * mask
        if self.training:
            vectors = vectors * (torch.rand(mask.shape) >= TOKEN_DROPOUT) / (1 - TOKEN_DROPOUT)
        return self.head(F.dropout(self.features(vectors, mask), FEATURE_DROPOUT, self.training))[:, 0]


class Served(nn.Module):
    """Both parts as one graph, with the Naive Bayes ratios and the mixing weights folded into the tables."""

    def __init__(self, counts, phrases):
        super().__init__()
        word, pair = counts.tables()
        self.word = nn.Embedding.from_pretrained((word * MIX_COUNTS).detach())
        self.pair = nn.Embedding.from_pretrained((pair * MIX_COUNTS).detach())
        self.phrases = phrases
        weight = (phrases.head.weight * MIX_PHRASES).detach()
        bias = (phrases.head.bias * MIX_PHRASES + counts.bias * MIX_COUNTS).detach()
        self.head = nn.Linear(weight.shape[1], 2)
        self.head.weight.data = torch.cat([-weight / 2, weight / 2])
        self.head.bias.data = torch.cat([-bias / 2, bias / 2])
        self.register_buffer("sides", torch.tensor([[-0.5, 0.5]]))

    def forward(self, input_ids, attention_mask):
        # Any id may stand where the mask is 0, one outside the vocabulary too.
        ids = input_ids * attention_mask
        mask = attention_mask.float().unsqueeze(2)
        # Concatenation, because the exporter spells a Pad out in a dozen shape operators.
        before = torch.cat([ids[:, :1] * 0, ids], 1)[:, :-1]
        both = mask * torch.cat([mask[:, :1] * 0, mask], 1)[:, :-1]
        total = (self.word(ids) * mask).sum(1) + (self.pair(pair_hash(before, ids)) * both).sum(1)
        counts = total / mask.sum(1).clamp(min=1).sqrt()
        return self.head(self.phrases.features(self.phrases.vector(ids) * mask, mask)) + counts * self.sides


def count_slots(ids, words):
    """The words of a text, then its pairs: 2 n - 1 slots for n tokens."""
    return torch.from_numpy(np.concatenate([ids, words + pair_hash(ids[:-1], ids[1:])]))


def log_ratios(slots, labels, size):
    """Smoothed log ratio of the shares of positive and of negative texts that hold each slot."""
    found = np.full((2, size), NB_SMOOTHING)
    for text, label in zip(slots, labels):
        found[label, np.unique(text.numpy())] += 1
    share = found / found.sum(1, keepdims=True)
    return torch.from_numpy(np.log(share[1] / share[0]).astype(np.float32))


def train_counts(docs, labels, words):
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    slots = [count_slots(doc, words) for doc in docs]
    lengths = torch.tensor([len(s) for s in slots])
    model = Counts(words, log_ratios(slots, labels, words + PAIR_BUCKETS))
    optimizer = torch.optim.Adam(model.parameters(), lr=LR_COUNTS)
    target = torch.from_numpy(labels.astype(np.float32))
    for epoch in range(EPOCHS_COUNTS):
        started, total = time.time(), 0.0
        for pick in np.array_split(rng.permutation(len(docs)), len(docs) // BATCH_COUNTS):
            loss = F.binary_cross_entropy_with_logits(model([slots[i] for i in pick], lengths[pick]), target[pick])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(pick)
        print(f"counts, epoch {epoch + 1}  loss {total / len(docs):.4f}  {time.time() - started:.1f} s", flush=True)
    return model.eval()


def padded_batch(docs):
    mask = torch.zeros(len(docs), max(map(len, docs)))
    ids = torch.zeros(mask.shape, dtype=torch.long)
    for row, doc in enumerate(docs):
        ids[row, : len(doc)] = torch.from_numpy(doc)
        mask[row, : len(doc)] = 1
    return ids, mask


def crop(doc, rng):
    limit = CROP_TOKENS
    if rng.random() < SHORT_SHARE:
        limit = int(np.exp(rng.uniform(*np.log(SHORT_TOKENS))))
    if len(doc) <= limit:
        return doc
    start = int(rng.integers(0, len(doc) - limit + 1))
    return doc[start : start + limit]


def train_phrases(docs, labels, words):
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    model = Phrases(words)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR_PHRASES)
    per_epoch = len(docs) // BATCH_PHRASES
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LR_PHRASES, total_steps=EPOCHS_PHRASES * per_epoch, pct_start=0.2
    )
    target = torch.from_numpy(labels.astype(np.float32))
    for epoch in range(EPOCHS_PHRASES):
        started, total = time.time(), 0.0
        cropped = [crop(doc, rng) for doc in docs]
        # Batches of about the same length waste little on padding; the factor keeps their make-up changing.
        length = np.array([len(doc) for doc in cropped]) * np.exp(rng.normal(0, 0.15, len(docs)))
        groups = np.array_split(np.argsort(length, kind="stable"), per_epoch)
        for g in rng.permutation(per_epoch):
            ids, mask = padded_batch([cropped[i] for i in groups[g]])
            loss = F.binary_cross_entropy_with_logits(model(ids, mask), target[groups[g]])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(ids)
        print(f"phrases, epoch {epoch + 1}  loss {total / len(docs):.4f}  {time.time() - started:.1f} s", flush=True)
    return model.eval()


def logits_of(model, docs):
    out = torch.zeros(len(docs), 2)
    order = np.argsort([len(doc) for doc in docs], kind="stable")
    with torch.no_grad():
        for pick in np.array_split(order, max(1, len(docs) // 32)):
            ids, mask = padded_batch([docs[i] for i in pick])
            out[pick] = model(ids, mask.long())
    return out


def report(name, logits, labels):
    wanted = torch.from_numpy(labels)
    right = (logits.argmax(1) == wanted).sum().item()
    nll = F.cross_entropy(logits, wanted).item()
    sure = logits.softmax(1).amax(1).mean().item()
    print(f"{name}: accuracy {right}/{len(labels)} = {100 * right / len(labels):.2f} %, "
          f"log loss {nll:.4f}, mean confidence {100 * sure:.2f} %")


def report_mixes(counts, phrases, docs, labels):
    with torch.no_grad():
        slots = [count_slots(doc, counts.words) for doc in docs]
        a = counts(slots, torch.tensor([len(s) for s in slots]))
        b = torch.cat([phrases(*padded_batch([doc])) for doc in docs])
    wanted = torch.from_numpy(labels.astype(np.float32))
    tried = []
    for x in range(0, 13):
        for y in range(0, 13):
            z = (x * a + y * b) / 10
            nll = F.binary_cross_entropy_with_logits(z, wanted).item()
            tried.append((nll, ((z > 0) == (wanted > 0)).float().mean().item(), x / 10, y / 10))
    for nll, accuracy, x, y in sorted(tried)[:3] + [t for t in tried if t[2:] in ((1.0, 0.0), (0.0, 1.0))]:
        print(f"  counts x {x:.1f} + phrases x {y:.1f}: accuracy {100 * accuracy:.2f} %, log loss {nll:.4f}")


def export(model, path):
    # Ids are never negative, so ONNX's integer Mod and Python's % agree; without this the exporter
    # writes the remainder as a division, a product and a difference.
    register_custom_op_symbolic("aten::remainder", lambda g, x, y: g.op("Mod", x, y), OPSET)
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
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "reviews")
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

    started = time.time()
    vocabulary = train_vocabulary((rows[i]["text"] for i in kept), WHOLE_WORDS, SUFFIXES)
    encoder = Encoder(vocabulary)
    encoded = [np.array(encoder.encode(row["text"])[:MAX_TOKENS]) for row in rows]
    labels = np.array([row["label"] for row in rows])
    print(f"{len(vocabulary)} pieces, {np.mean([len(ids) for ids in encoded]):.0f} tokens a review, "
          f"{time.time() - started:.0f} s")

    started = time.time()
    seen, answers = [encoded[i] for i in kept], labels[kept]
    counts, phrases = (part(seen, answers, len(vocabulary)) for part in (train_counts, train_phrases))
    print(f"trained on {len(kept)} reviews in {time.time() - started:.0f} s")
    model = Served(counts, phrases).eval()

    docs, wanted = [encoded[i] for i in np.flatnonzero(measured)], labels[measured]
    if args.dev:
        report_mixes(counts, phrases, docs, wanted)
        report_mixes(counts, phrases, [ids[:25] for ids in docs], wanted)
    else:
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / "model.onnx"
        export(model, path)
        # An explicit newline, and ASCII only: the file is the same wherever it is written.
        (args.out / "tokenizer.json").write_bytes(
            json.dumps(tokenizer_json(vocabulary), separators=(",", ":")).encode("ascii") + b"\n"
        )
        print(f"{path.name} {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")
    report("first 25 tokens only", logits_of(model, [ids[:25] for ids in docs]), wanted)
    report("dev fold" if args.dev else "held-out", logits_of(model, docs), wanted)


if __name__ == "__main__":
    main()
