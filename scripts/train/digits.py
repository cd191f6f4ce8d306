#!/usr/bin/env python3
"""Trains the handwritten digit model and writes models/digits/model.onnx.

Input  `image`  float32 [batch, 1, 28, 28], 0 = background, 1 = ink.
Output `logits` float32 [batch, 10].

Images whose index leaves remainder 3 when divided by 4 are held out: they are
never trained on, and the accuracy printed at the end is measured on them.
"""
import argparse
import gzip
import hashlib
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

ROOT = Path(__file__).resolve().parents[2]
SEED = 20240607
EPOCHS = 36
BATCH = 64
PEAK_LR = 4e-3
WEIGHT_DECAY = 2e-3
LABEL_SMOOTHING = 0.03
EMA_DECAY = 0.998
OPSET = 13


def read_idx(path, magic, header):
    raw = gzip.decompress(Path(path).read_bytes())
    fields = struct.unpack(f">{header}I", raw[: 4 * header])
    if fields[0] != magic:
        raise SystemExit(f"{path}: not the expected IDX file (magic {fields[0]:#x})")
    return np.frombuffer(raw, np.uint8, offset=4 * header).reshape(fields[1:])


class Net(nn.Module):
    def __init__(self):
        super().__init__()

        def block(cin, cout):
            return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU()]

        self.body = nn.Sequential(
            *block(1, 16), *block(16, 16), nn.MaxPool2d(2),
            *block(16, 32), *block(32, 32), nn.MaxPool2d(2),
            *block(32, 64), *block(64, 64), nn.MaxPool2d(2),
        )
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(64 * 3 * 3, 10)

    def forward(self, image):
        return self.head(self.dropout(self.body(image).flatten(1)))


def folded(net):
    """The same function with every batch norm folded into the convolution before it."""
    net.eval()
    layers, source = [], list(net.body)
    while source:
        layer = source.pop(0)
        if isinstance(layer, nn.Conv2d):
            layer = fuse_conv_bn_eval(layer, source.pop(0))
        layers.append(layer)
    return nn.Sequential(*layers, nn.Flatten(1), net.head).eval()


def augment(x, rng):
    """One random distortion per image: stroke width, affine map, elastic field, contrast, blur, noise."""
    n = len(x)

    def uniform(lo, hi, *shape):
        return torch.rand(n, *shape, generator=rng) * (hi - lo) + lo

    thicker, thinner = F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1)
    width = uniform(-0.45, 0.8, 1, 1, 1)
    x = torch.where(width > 0, torch.lerp(x, thicker, width.clamp(min=0)), torch.lerp(x, thinner, -width.clamp(max=0)))

    angle, shear = uniform(-0.26, 0.26), uniform(-0.25, 0.25)
    sx, sy = uniform(0.85, 1.2), uniform(0.85, 1.2)
    cos, sin = torch.cos(angle), torch.sin(angle)
    theta = torch.stack([
        torch.stack([cos / sx, (shear * cos - sin) / sx, uniform(-0.13, 0.13)], 1),
        torch.stack([sin / sy, (shear * sin + cos) / sy, uniform(-0.13, 0.13)], 1),
    ], 1)
    grid = F.affine_grid(theta, x.shape, align_corners=False)
    coarse = torch.randn(n, 2, 5, 5, generator=rng) * uniform(0, 0.055, 1, 1, 1)
    field = F.interpolate(coarse, size=(28, 28), mode="bicubic", align_corners=True)
    x = F.grid_sample(x, grid + field.permute(0, 2, 3, 1), align_corners=False)

    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1)
    x = torch.lerp(x, blurred, uniform(-0.4, 0.7, 1, 1, 1).clamp(min=0))
    x = (x * uniform(0.7, 1.3, 1, 1, 1)).clamp(0, 1)
    x = x + torch.randn(x.shape, generator=rng) * uniform(-0.06, 0.08, 1, 1, 1).clamp(min=0)
    return x.clamp(0, 1)


def train(images, labels):
    torch.manual_seed(SEED)
    rng = torch.Generator().manual_seed(SEED + 1)
    net = Net()
    average = {k: v.clone() for k, v in net.state_dict().items()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=PEAK_LR, weight_decay=WEIGHT_DECAY)
    per_epoch = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LR, total_steps=EPOCHS * per_epoch, pct_start=0.2)
    step = 0
    for epoch in range(EPOCHS):
        net.train()
        order = torch.randperm(len(images), generator=rng)
        started, total = time.time(), 0.0
        for i in range(per_epoch):
            pick = order[i * BATCH : (i + 1) * BATCH]
            loss = F.cross_entropy(net(augment(images[pick], rng)), labels[pick], label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            step += 1
            decay = min(EMA_DECAY, step / (step + 10))
            for k, v in net.state_dict().items():
                if v.is_floating_point():
                    average[k].lerp_(v, 1 - decay)
                else:
                    average[k].copy_(v)
            total += loss.item()
        print(f"epoch {epoch + 1:2d}  loss {total / per_epoch:.4f}  {time.time() - started:.1f} s", flush=True)
    net.load_state_dict(average)
    return folded(net)


def write_png(path, pixels):
    """8-bit PNG of a [h, w] (grey) or [h, w, 3] (RGB) array."""
    height, width = pixels.shape[:2]
    colour = 2 if pixels.ndim == 3 else 0

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + pixels[y].tobytes() for y in range(height))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def write_samples(folder, images, labels, held_out):
    folder.mkdir(parents=True, exist_ok=True)

    def nth(digit, n):
        return images[[i for i in held_out if labels[i] == digit][n]]

    for name, digit in (("seven", 7), ("two", 2), ("five", 5)):
        write_png(folder / f"{name}.png", nth(digit, 0))

    ink = torch.from_numpy(nth(3, 5).astype(np.float32) / 255)[None, None]
    ink = F.interpolate(ink, size=(150, 150), mode="bicubic", align_corners=False).clamp(0, 1)[0, 0].numpy()
    # A steeper edge than interpolation leaves, as a felt pen has.
    ink = np.clip((ink - 0.3) / 0.4, 0, 1)
    canvas = np.zeros((280, 280), np.float32)
    canvas[95:245, 25:175] = ink
    paper, pen = np.array([244, 240, 229], np.float32), np.array([38, 42, 77], np.float32)
    photo = paper + canvas[:, :, None] * (pen - paper)
    write_png(folder / "photo.png", np.rint(photo).astype(np.uint8))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "datasets")
    parser.add_argument("--images", default="mnist-8000-images-idx3-ubyte.gz")
    parser.add_argument("--labels", default="mnist-8000-labels-idx1-ubyte.gz")
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "digits")
    args = parser.parse_args()

    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    images = read_idx(args.data / args.images, 0x803, 4)
    labels = read_idx(args.data / args.labels, 0x801, 2)
    index = np.arange(len(images))
    held_out, kept = index[index % 4 == 3], index[index % 4 != 3]
    x = torch.from_numpy(images.astype(np.float32) / 255)[:, None]
    y = torch.from_numpy(labels.astype(np.int64))

    started = time.time()
    net = train(x[kept], y[kept])
    print(f"trained on {len(kept)} images in {time.time() - started:.0f} s")

    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "model.onnx"
    torch.onnx.export(
        net, x[:2], str(path), opset_version=OPSET, input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )
    write_samples(args.out / "samples", images, labels, held_out)

    with torch.no_grad():
        logits = net(x[held_out])
    right = (logits.argmax(1) == y[held_out]).sum().item()
    nll = F.cross_entropy(logits, y[held_out]).item()
    print(f"held-out accuracy {right}/{len(held_out)} = {100 * right / len(held_out):.2f} %, log loss {nll:.4f}")
    print(f"{path.name} {path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
