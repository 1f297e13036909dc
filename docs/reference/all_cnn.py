"""The runs of examples/all_cnn.rs in PyTorch: the same networks, data, preparation, optimiser, schedule and batch size.
Writes the loss of every step (losses.json) and the weights that each run started from (.safetensors) to a folder, from which the
example starts too, and draws these runs beside its own.

python all_cnn.py CIFAR_FOLDER OUT_FOLDER [--pictures 10000] [--epochs 3] [--seeds 2]
"""

import argparse
import json
import os
import time

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

TABLE = {
    "Base model C": "96 96 pool 192 192 pool",
    "Strided-CNN-C": "96 96/2 192 192/2",
    "ConvPool-CNN-C": "96 96 96 pool 192 192 192 pool",
    "All-CNN-C": "96 96 96/2 192 192 192/2",
}


def build(description):
    layers, channels = [nn.Dropout(0.2)], 3
    for layer in description.split():
        if layer == "pool":
            layers += [nn.MaxPool2d(3, 2, 1), nn.Dropout(0.5)]
            continue
        filters, _, stride = layer.partition("/")
        stride = int(stride or 1)
        layers += [nn.Conv2d(channels, int(filters), 3, stride, 1), nn.ReLU()]
        if stride == 2:
            layers.append(nn.Dropout(0.5))
        channels = int(filters)
    for filters, kernel in [(192, 3), (192, 1), (10, 1)]:
        layers += [nn.Conv2d(channels, filters, kernel), nn.ReLU()]
        channels = filters
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return net


def pictures(folder, n):
    raw = np.concatenate([np.fromfile(f"{folder}/data_batch_{b}.bin", "u1").reshape(-1, 3073) for b in range(1, 6)])[:n]
    x = torch.tensor(raw[:, 1:].reshape(-1, 3, 32, 32).astype("f4")) / 255
    mean, std = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])
    return (x - mean[:, None, None]) / std[:, None, None], torch.tensor(raw[:, 0].astype("i8"))


def train(description, x, y, epochs, batch, seed, start):
    torch.manual_seed(seed)
    net = build(description)
    save_file(net.state_dict(), start)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=0.001)
    losses = []
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for i in range(0, len(x), batch):
            index = order[i : i + batch]
            loss = nn.functional.cross_entropy(net(x[index]), y[index])
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(round(loss.item(), 5))
    return losses


parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("out")
parser.add_argument("--pictures", type=int, default=10000)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--seeds", type=int, default=2)
args = parser.parse_args()
x, y = pictures(args.folder, args.pictures)
runs = {}
os.makedirs(args.out, exist_ok=True)
for name, description in TABLE.items():
    start = time.time()
    starts = [f"{args.out}/{name}, run {seed}.safetensors" for seed in range(args.seeds)]
    runs[name] = [train(description, x, y, args.epochs, 128, seed, path) for seed, path in enumerate(starts)]
    print(f"{name}: {time.time() - start:.0f} s, last losses {[np.mean(r[-20:]).round(3).item() for r in runs[name]]}", flush=True)
with open(f"{args.out}/losses.json", "w") as f:
    json.dump({"pictures": args.pictures, "epochs": args.epochs, "runs": runs}, f)
