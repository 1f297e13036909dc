"""The runs of examples/character_model.rs in PyTorch: same text, same network, same optimiser, weights drawn alike.

python docs/reference/character_model.py data/texts/moby-dick.txt OUT.json --updates 1500 --seeds 3
"""

import argparse
import json
import math

import torch
from torch import nn

LANES, STEPS, EVERY = 32, 64, 100


class CharacterModel(nn.Module):
    def __init__(self, characters, hidden):
        super().__init__()
        self.embedding = nn.Embedding(characters, 64)
        self.lstm = nn.LSTM(64, hidden, batch_first=True)
        self.head = nn.Linear(hidden, characters)

    def loss(self, text, state):
        h, state = self.lstm(self.embedding(text[:, :-1]), state)
        loss = nn.functional.cross_entropy(self.head(h).flatten(0, 1), text[:, 1:].flatten())
        return loss, tuple(s.detach() for s in state)


def part(text, piece):
    return text[:, piece * STEPS : (piece + 1) * STEPS + 1]


def lanes(numbers):
    length = len(numbers) // LANES
    return torch.tensor(numbers[: LANES * length]).reshape(LANES, length)


def bits(net, text):
    pieces, state, total = (text.shape[1] - 1) // STEPS, None, 0.0
    with torch.no_grad():
        for piece in range(pieces):
            loss, state = net.loss(part(text, piece), state)
            total += loss.item()
    return total / pieces / math.log(2)


def run(seed, text, held_out, characters, options):
    torch.manual_seed(seed)
    net = CharacterModel(characters, options.hidden)
    adam = torch.optim.Adam(net.parameters(), lr=2e-3)
    pieces, state, rows = (text.shape[1] - 1) // STEPS, None, []
    for update in range(1, options.updates + 1):
        piece = (update - 1) % pieces
        loss, state = net.loss(part(text, piece), None if piece == 0 else state)
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        if update % EVERY == 0:
            rows.append((update, bits(net, held_out)))
            print(f"run {seed}, update {update}: {rows[-1][1]:.3f}", flush=True)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("out")
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    text = open(options.text, encoding="utf8").read()
    characters = sorted(set(text))
    number = {c: i for i, c in enumerate(characters)}
    numbers = [number[c] for c in text]
    split = len(numbers) // 20 * 19
    seen, unseen = lanes(numbers[:split]), lanes(numbers[split:])
    runs = [run(seed, seen, unseen, len(characters), options) for seed in range(1, options.seeds + 1)]
    json.dump(runs, open(options.out, "w"))
