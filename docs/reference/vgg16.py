"""torchvision's VGG16 with random weights, as PyTorch and Keras save it, and what it makes of a picture: files for
`cargo run --release -p gradus-models --features hdf5 --example agree -- OUT/expected.npz OUT/vgg16.*`.

KERAS_BACKEND=torch python vgg16.py OUT
"""

import os
import sys

import keras
import numpy as np
import torch
import torchvision
from safetensors.torch import save_file

out = sys.argv[1]
os.makedirs(out, exist_ok=True)
torch.manual_seed(0)
net = torchvision.models.vgg16(weights=None).eval()
with torch.no_grad():
    for layer in net.classifier:
        if isinstance(layer, torch.nn.Linear):  # as drawn, the scores would all but vanish
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            torch.nn.init.normal_(layer.bias)
    picture = torch.randn(2, 3, 224, 224)
    scores, features = net(picture), net.features(picture)
torch.save(net.state_dict(), f"{out}/vgg16.pth")
save_file(net.state_dict(), f"{out}/vgg16.safetensors")

other = keras.applications.VGG16(weights=None, classifier_activation=None)
convs = [m for m in net.features if isinstance(m, torch.nn.Conv2d)]
for layer, conv in zip([l for l in other.layers if "conv" in l.name], convs, strict=True):
    layer.set_weights([conv.weight.detach().numpy().transpose(2, 3, 1, 0), conv.bias.detach().numpy()])
dense = [m for m in net.classifier if isinstance(m, torch.nn.Linear)]
for layer, linear in zip(other.layers[-3:], dense, strict=True):
    weight = linear.weight.detach().numpy()
    if layer.name == "fc1":  # Keras flattens channels last
        weight = weight.reshape(-1, 512, 7, 7).transpose(0, 2, 3, 1).reshape(len(weight), -1)
    layer.set_weights([weight.T, linear.bias.detach().numpy()])
by_keras = other.predict(picture.numpy().transpose(0, 2, 3, 1), verbose=0)
other.save_weights(f"{out}/vgg16.weights.h5")
other.save(f"{out}/vgg16.h5")
other.save(f"{out}/vgg16.keras")
np.savez(f"{out}/expected.npz", picture=picture.numpy(), scores=scores.numpy(), features=features.numpy())
print(f"largest score {scores.abs().max():.4f}; Keras' differ by {np.abs(by_keras - scores.numpy()).max():.2e} at most")
