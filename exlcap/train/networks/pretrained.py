"""The initial weights of a backbone: ImageNet weights under torchvision's names, or weights drawn from the seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from exlcap.core.downloads import fetch, weights_folder
from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_file
from exlcap.train.config import Config, ModelConfig
from exlcap.train.networks.pose_net import PoseNet
from exlcap.train.networks.resnet import ResNet

SOURCE = "https://download.pytorch.org/models"
IMAGENET = {
    18: ("resnet18-f37072fd.pth", "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"),
    34: ("resnet34-b627a593.pth", "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f"),
    50: ("resnet50-0676ba61.pth", "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a"),
    101: ("resnet101-63fe2227.pth", "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a"),
}
"""torchvision's weights (IMAGENET1K_V1) by depth, and their SHA-256, whose first eight digits end the name."""
PREFIXES = ("module.", "backbone.")
CLASSIFIER = "fc."
COUNTER = ".num_batches_tracked"
OTHER_CHOICES = "name another with --backbone-weights FILE, or start from scratch with --backbone-weights none"


def backbone_file(model: ModelConfig) -> Path | None:
    """The file that `model.backbone_weights` names, downloaded and checked if it is "imagenet"; None for "none".

    Raises ExlcapError when the file is missing, cannot be downloaded, or has another SHA-256 than torchvision's.
    """
    if model.backbone_weights == "none":
        return None
    if model.backbone_weights != "imagenet":
        path = Path(model.backbone_weights)
        if not path.is_file():
            raise ExlcapError(f"no backbone weights at {path}", f"check the path, or {OTHER_CHOICES}")
        return path
    name, sha256 = IMAGENET[model.depth]
    path = weights_folder() / name
    fetch(f"{SOURCE}/{name}", path, sha256, way_out=f"copy it to {path}, or {OTHER_CHOICES}")
    return path


def check_backbone(config: Config) -> str | None:
    """Get the file of a run's initial weights and check that it fits; its SHA-256, None if weights are drawn.

    Raises ExlcapError as `backbone_file` and `fitted`.
    """
    path = backbone_file(config.model)
    if path is None:
        return None
    with torch.device("meta"):
        backbone = PoseNet(config.model, config.method.lsbn).backbone
    fitted(backbone, path)
    return sha256_file(path)


def load_backbone(backbone: ResNet, model: ModelConfig) -> None:
    """Put the weights that `model.backbone_weights` names into a backbone. Raises ExlcapError as `check_backbone`."""
    if (path := backbone_file(model)) is not None:
        backbone.load_state_dict(fitted(backbone, path))


def fitted(backbone: ResNet, path: Path) -> dict[str, Tensor]:
    """The weights of a file under a backbone's names; both BatchNorms of an LSBN get the same, no classifier.

    Raises ExlcapError naming what is missing, left over, or of another shape.
    """
    given = {_plain(name): value for name, value in read_weights(path).items()}
    values: dict[str, Tensor] = {}
    used = set()
    for name, now in backbone.state_dict().items():
        source = name.replace(".low.", ".").replace(".well.", ".")
        used.add(source)
        value = given.get(source)
        if value is None and name.endswith(COUNTER):
            values[name] = torch.zeros((), dtype=torch.long)
        elif value is None or value.shape != now.shape:
            problem = "missing" if value is None else f"of shape {tuple(value.shape)}"
            raise _misfit(path, f"{source} is {problem}, expected shape {tuple(now.shape)}")
        else:
            values[name] = value
    if left := [name for name in given if name not in used and not name.startswith(CLASSIFIER)]:
        raise _misfit(path, f"it has no {left[0]}")
    return values


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Tensors by name, of a .safetensors or a PyTorch file; nothing in it is executed.

    Raises ExlcapError when it is damaged or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both raise whatever their parsers meet first in a damaged file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ExlcapError(f"{path} is damaged or not a file of weights ({reason})", OTHER_CHOICES) from None
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ExlcapError(f"{path} holds no tensors by name", OTHER_CHOICES)
    return content


def _plain(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _misfit(path: Path, what: str) -> ExlcapError:
    return ExlcapError(
        f"{path} does not fit the network's backbone: {what}",
        f"set model.depth and model.base_channels (64 for ImageNet) to the file's, or {OTHER_CHOICES}",
    )
