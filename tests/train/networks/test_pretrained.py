"""Backbones begin at ImageNet checkpoints under torchvision's names: a file, or a download held to its name."""

from __future__ import annotations

import functools
import hashlib
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from exlcap.core.downloads import weights_folder
from exlcap.core.errors import ExlcapError
from exlcap.train.config import Config
from exlcap.train.loop import new_state
from exlcap.train.networks import pretrained
from exlcap.train.networks.pose_net import PoseNet
from exlcap.train.networks.pretrained import IMAGENET, backbone_file, check_backbone, load_backbone
from exlcap.train.networks.resnet import ResNet
from exlcap.train.prepare import new_config, new_run


def config(weights: Path | str, method: str = "ours", depth: int = 18) -> Config:
    model = {"depth": depth, "base_channels": 8, "backbone_weights": str(weights)}
    return new_config("small", None, {"data": "night", "method": method, "model": model})


@pytest.fixture
def checkpoint() -> dict[str, Tensor]:
    """As torchvision's ResNet-18 but narrow: its names, with a classifier."""
    torch.manual_seed(0)
    net = ResNet(18, 8, nn.BatchNorm2d)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            module.running_var.uniform_(1, 2)
    return {**net.state_dict(), "fc.weight": torch.zeros(1000, 64), "fc.bias": torch.zeros(1000)}


def loaded(settings: Config) -> dict[str, Tensor]:
    net = PoseNet(settings.model, settings.method.lsbn).backbone
    load_backbone(net, settings.model)
    return net.state_dict()


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_a_file_s_weights_are_the_backbone_s(tmp_path: Path, checkpoint: dict[str, Tensor], name: str) -> None:
    path = tmp_path / name
    (save_file if path.suffix == ".safetensors" else torch.save)(checkpoint, path)
    found = loaded(config(path, method="baseline-all"))
    assert all(torch.equal(value, checkpoint[name]) for name, value in found.items())


def test_both_norms_of_an_lsbn_begin_alike(tmp_path: Path, checkpoint: dict[str, Tensor]) -> None:
    torch.save(checkpoint, tmp_path / "net.pth")
    found = loaded(config(tmp_path / "net.pth"))
    for part in ("weight", "bias", "running_mean", "running_var"):
        for light in ("low", "well"):
            assert torch.equal(
                found[f"layer3.0.downsample.1.{light}.{part}"], checkpoint[f"layer3.0.downsample.1.{part}"]
            )
    assert torch.equal(found["conv1.weight"], checkpoint["conv1.weight"])


def test_wrapped_and_old_checkpoints_are_read_too(tmp_path: Path, checkpoint: dict[str, Tensor]) -> None:
    old = {f"module.{name}": value for name, value in checkpoint.items() if "num_batches" not in name}
    torch.save({"epoch": 90, "state_dict": old}, tmp_path / "net.pth")
    found = loaded(config(tmp_path / "net.pth", "lupi"))
    assert torch.equal(found["layer4.1.conv2.weight"], checkpoint["layer4.1.conv2.weight"])


def test_another_network_s_weights_are_refused(tmp_path: Path, checkpoint: dict[str, Tensor]) -> None:
    torch.save(checkpoint, tmp_path / "net.pth")
    with pytest.raises(ExlcapError, match=r"layer1.2.conv1.weight is missing, expected shape \(8, 8, 3, 3\)"):
        check_backbone(config(tmp_path / "net.pth", depth=34))
    torch.save({**checkpoint, "layer1.2.conv1.weight": torch.zeros(8, 8, 3, 3)}, tmp_path / "more.pth")
    with pytest.raises(ExlcapError, match=r"it has no layer1.2.conv1.weight"):
        check_backbone(config(tmp_path / "more.pth"))
    torch.save({**checkpoint, "conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "wide.pth")
    with pytest.raises(ExlcapError, match=r"conv1.weight is of shape \(64, 3, 7, 7\), expected shape \(8, 3, 7, 7\)"):
        check_backbone(config(tmp_path / "wide.pth"))


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(pickle.dumps({"conv1.weight": Trap(tmp_path / "sprung")}, protocol=2))
    with pytest.raises(ExlcapError, match="damaged or not a file of weights"):
        check_backbone(config(tmp_path / "net.pth"))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_a_damaged_or_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExlcapError, match="no backbone weights at"):
        check_backbone(config(tmp_path / name))
    (tmp_path / name).write_bytes(b"not a network")
    with pytest.raises(ExlcapError, match="damaged or not a file of weights"):
        check_backbone(config(tmp_path / name))


def test_none_leaves_the_weights_as_drawn() -> None:
    assert check_backbone(config("none")) is None and backbone_file(config("none").model) is None


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path, checkpoint: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server with one file, made the ResNet-18 of torchvision."""
    folder = tmp_path / "server"
    folder.mkdir()
    file = folder / "resnet18.pth"
    torch.save(checkpoint, file)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("EXLCAP_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(pretrained, "SOURCE", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setitem(IMAGENET, 18, (file.name, sha256))
        yield file
        server.shutdown()


def test_imagenet_weights_are_downloaded_once(served: Path, checkpoint: dict[str, Tensor]) -> None:
    settings = config("imagenet")
    assert check_backbone(settings) == IMAGENET[18][1]
    served.unlink()  # the next time it is not asked for
    assert torch.equal(loaded(settings)["conv1.weight"], checkpoint["conv1.weight"])


def test_a_download_that_is_another_file_than_torchvision_s_is_thrown_away(served: Path) -> None:
    served.write_bytes(served.read_bytes() + b"more")
    with pytest.raises(ExlcapError, match="has SHA-256"):
        check_backbone(config("imagenet"))
    assert [path.suffix for path in weights_folder().iterdir()] == [".lock"]


def test_a_file_in_the_cache_that_was_changed_is_refused(served: Path) -> None:
    settings = config("imagenet")
    check_backbone(settings)
    kept = weights_folder() / served.name
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    with pytest.raises(ExlcapError, match="has SHA-256"):
        check_backbone(settings)
    assert kept.exists(), "it may be somebody's own"


def test_without_a_network_the_ways_out_are_named(served: Path) -> None:
    served.unlink()
    with pytest.raises(ExlcapError, match="404") as error:
        check_backbone(config("imagenet"))
    assert "--backbone-weights" in str(error.value.hint)


def test_the_names_are_torchvision_s_and_end_in_the_first_digits_of_the_sums() -> None:
    assert sorted(IMAGENET) == [18, 34, 50, 101]
    for depth, (name, sha256) in IMAGENET.items():
        assert name == f"resnet{depth}-{sha256[:8]}.pth" and len(sha256) == 64


def test_a_run_whose_backbone_cannot_be_had_is_not_begun_and_one_that_begins_says_with_what(
    tmp_path: Path, checkpoint: dict[str, Tensor], write_stick_figures: Callable[..., Path]
) -> None:
    data = write_stick_figures(tmp_path / "lab", train=2, val=0, test=0)
    with pytest.raises(ExlcapError, match="no backbone weights at"):
        new_run(tmp_path / "run", config(tmp_path / "net.pth"), data)
    assert not (tmp_path / "run").exists()
    torch.save(checkpoint, tmp_path / "net.pth")
    settings = config(tmp_path / "net.pth")
    new_run(tmp_path / "run", settings, data)
    said = json.loads((tmp_path / "run" / "environment.json").read_text())["backbone_sha256"]
    assert said == hashlib.sha256((tmp_path / "net.pth").read_bytes()).hexdigest()
    fresh, resumed = (new_state(settings, torch.device("cpu"), resumed) for resumed in (False, True))
    assert torch.equal(fresh.average.backbone.conv1.weight, checkpoint["conv1.weight"])
    assert not torch.equal(resumed.average.backbone.conv1.weight, checkpoint["conv1.weight"])
