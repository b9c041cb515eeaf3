"""An exported network answers as the trained one does, for the light it was exported for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from exlcap.annotate.networks.card import read_card
from exlcap.annotate.networks.decode import joints_in_crops
from exlcap.annotate.networks.network import load_network
from exlcap.annotate.networks.placing import crop_matrix
from exlcap.cli import main
from exlcap.core.alignment import apply_homography
from exlcap.core.errors import ExlcapError
from exlcap.core.joints import JOINTS
from exlcap.train.config import LossConfig
from exlcap.train.data.augment import PLAIN
from exlcap.train.data.crops import crop_people, place
from exlcap.train.data.heatmaps import targets
from exlcap.train.data.inputs import network_input
from exlcap.train.data.people import read_split
from exlcap.train.losses.pose import probabilities
from exlcap.train.networks.fold import folded, of_light
from exlcap.train.networks.pose_net import build_model
from exlcap.train.prepare import new_config
from exlcap.train.results import export as export_module
from exlcap.train.results.export import compare, export, onnx_bytes
from exlcap.train.results.inference import full_score, predict_crops
from exlcap.train.results.trained import Trained
from exlcap.train.runs import save_checkpoint
from exlcap.train.stored import to_toml

TINY = {"depth": 18, "height": 64, "width": 64, "base_channels": 8, "head_channels": 8, "backbone_weights": "none"}


def a_trained(preset: str = "small", method: str = "ours", **model: object) -> Trained:
    """A tiny network in which the BatchNorms of both lights, and all layers, have something of their own."""
    config = new_config(preset, None, {"data": "sticks", "method": method, "model": {**TINY, **model}})
    network = build_model(config.model, config.method.lsbn, 0).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values, low, high in (
                    (module.running_mean, -0.3, 0.3), (module.running_var, 0.6, 1.6),
                    (module.weight, 0.7, 1.3), (module.bias, -0.2, 0.2),
                ):  # fmt: skip
                    values.uniform_(low, high, generator=generator)  # type: ignore[union-attr]
    return Trained(network, config, 7, "0" * 64)


def refined(trained: Trained, images: torch.Tensor, light: str) -> torch.Tensor:
    with torch.inference_mode():
        return trained.model(images, len(images) if light == "low" else 0).refined


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("last_bn", [True, False])
@pytest.mark.parametrize("light", ["low", "well"])
def test_a_folded_network_has_no_batch_norm_and_the_same_answers(depth: int, last_bn: bool, light: str) -> None:
    trained = a_trained(depth=depth, last_bn=last_bn)
    fast = folded(trained.model, trained.config.size, light)  # type: ignore[arg-type]
    left = [name for name, module in fast.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert [name for name in left if not name.startswith("global_net.predicts")] == []  # those are for training only
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    expected = refined(trained, images, light)
    other = refined(trained, images, "well" if light == "low" else "low")
    with torch.inference_mode():
        found = fast(images, 0).refined
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert (expected - other).abs().max() > 0.01 * expected.abs().max(), "the lights would not be told apart"


def test_folding_leaves_the_trained_network_as_it_was() -> None:
    trained = a_trained()
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    folded(trained.model, trained.config.size, "low")
    of_light(trained.model, "well")
    after = trained.model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


@pytest.fixture(scope="module")
def tiny() -> Trained:
    return a_trained()


@pytest.fixture(scope="module")
def low_onnx(tiny: Trained) -> bytes:
    return onnx_bytes(tiny, "low")


@pytest.fixture(scope="module")
def low_session(low_onnx: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(low_onnx, providers=["CPUExecutionProvider"])


@pytest.fixture
def made_before(monkeypatch: pytest.MonkeyPatch, low_onnx: bytes) -> None:
    """An export takes seconds: what was made once for low light is given again."""
    monkeypatch.setattr(export_module, "onnx_bytes", lambda trained, light: low_onnx)


def run(session: onnxruntime.InferenceSession, images: np.ndarray) -> np.ndarray:
    return session.run(["heatmaps"], {"images": images})[0]


@pytest.mark.parametrize("people", [1, 5])
def test_brightening_and_normalisation_are_in_the_graph_for_any_number_of_crops(
    tiny: Trained, low_session: onnxruntime.InferenceSession, people: int
) -> None:
    images = np.random.default_rng([people]).uniform(0, 9, (people, 3, 64, 64)).astype(np.float32)
    inputs = network_input(torch.from_numpy(images) / 255, "low", tiny.config.input)
    expected = probabilities(refined(tiny, inputs, "low"), tiny.config.loss).numpy()
    np.testing.assert_allclose(run(low_session, images), expected, atol=1e-4 * expected.max())
    np.testing.assert_allclose(run(low_session, images * 4), expected, atol=1e-4 * expected.max())


def test_a_black_crop_gives_numbers_and_does_not_touch_its_neighbours(
    low_session: onnxruntime.InferenceSession,
) -> None:
    crop = np.random.default_rng([3]).uniform(0, 9, (1, 3, 64, 64)).astype(np.float32)
    found = run(low_session, np.concatenate([np.zeros_like(crop), crop]))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[1:], run(low_session, crop), rtol=1e-4, atol=1e-7)


def test_the_file_knows_its_light_and_nothing_of_this_machine(
    low_onnx: bytes, low_session: onnxruntime.InferenceSession
) -> None:
    assert str(Path(export_module.__file__).parent.resolve()).encode() not in low_onnx and b".py" not in low_onnx
    meta = low_session.get_modelmeta().custom_metadata_map
    assert (meta["lighting"], meta["method"], meta["data"]) == ("low", "ours", "sticks")


def test_the_card_says_what_annotate_has_to_know(
    tmp_path: Path, tiny: Trained, made_before: None, write_stick_figures: Callable[..., Path]
) -> None:
    data = write_stick_figures(tmp_path, train=1, val=2, test=1)
    path = tmp_path / "my net.onnx"
    check = export(tiny, "low", path, data)
    assert check.real and check.images >= 2 and check.difference < 1e-4 and check.joints_px < 0.05
    card = read_card(path.with_suffix(".toml"))
    assert card.joints is not None and card.heatmap is not None
    assert card.joints.names == JOINTS and card.name == "my-net" and card.version == "epoch 7"
    assert card.weights.file == str(path) and card.weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (card.input.width, card.input.height, card.input.colour, card.input.mean) == (64, 64, "RGB", (0.0, 0.0, 0.0))
    assert card.input.box_scale == tiny.config.input.box_scale
    assert (card.heatmap.stride, card.heatmap.offset) == (4, 0.5)


def test_annotate_reads_the_same_joints_out_of_the_same_crops_as_training_does(
    tmp_path: Path, tiny: Trained, made_before: None, write_stick_figures: Callable[..., Path]
) -> None:
    data = write_stick_figures(tmp_path, train=1, val=0, test=2)
    split = read_split(data, "test_LL-A")
    assert split is not None
    export(tiny, "low", tmp_path / "net.onnx", data)
    network = load_network(read_card(tmp_path / "net.toml"), threads=1)
    crops = crop_people(data, split.people, tiny.config.size, tiny.config.input)
    expected = predict_crops(tiny.model, crops, tiny.config, "none")
    found = joints_in_crops(network, np.stack([place(crop, PLAIN, tiny.config.size)[0] for crop in crops]))
    for i, person in enumerate(split.people):
        matrix = crop_matrix(person.box, network.card.input)
        np.testing.assert_allclose(matrix, crops[i].plain, atol=1e-9)
        np.testing.assert_allclose(
            apply_homography(np.linalg.inv(matrix), found[i, :, :2]), expected.joints[i], atol=0.05
        )
    np.testing.assert_allclose(found[..., 2], expected.scores, rtol=1e-3)


def test_without_the_data_set_both_are_compared_on_noise(tmp_path: Path, tiny: Trained, made_before: None) -> None:
    check = export(tiny, "low", tmp_path / "net.onnx", tmp_path / "nowhere")
    assert not check.real and check.difference < 1e-4


@pytest.mark.parametrize("taken", ["net.onnx", "net.toml"])
def test_nothing_is_overwritten(tmp_path: Path, tiny: Trained, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(ExlcapError, match="exists already"):
        export(tiny, "low", tmp_path / "net.onnx", tmp_path / "nowhere")
    assert [path.name for path in tmp_path.iterdir()] == [taken] and (tmp_path / taken).read_text() == "mine"


def test_a_network_that_answers_otherwise_is_not_written(tmp_path: Path, tiny: Trained, made_before: None) -> None:
    with pytest.raises(ExlcapError, match="differs from PyTorch"):
        export(tiny, "well", tmp_path / "net.onnx", tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_the_official_recipe_is_exported_with_its_own_normalisation_and_peak() -> None:
    trained = a_trained("official")
    images = np.random.default_rng([4]).uniform(0, 255, (2, 3, 64, 64)).astype(np.float32)
    check = compare(trained, "well", onnx_bytes(trained, "well"), images, real=False)
    assert check.difference < 1e-4
    assert full_score(trained.config.loss) == 255


def test_full_score_is_the_height_of_a_map_that_is_exactly_as_taught() -> None:
    loss = loss_of("small")
    taught = targets(torch.tensor([[[12.0, 16.0]]]), (32, 24), loss.refine_sigma)
    assert full_score(loss) == pytest.approx(float((taught / taught.sum()).max()), rel=0.01)


def loss_of(preset: str) -> LossConfig:
    return new_config(preset, None, {"data": "sticks"}).loss


def test_the_command_writes_beside_the_run_and_says_how_far_apart_both_are(
    tmp_path: Path, tiny: Trained, made_before: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rig.toml").touch()
    saved = {"config": to_toml(tiny.config), "data_checksum": "", "epoch": 7, "model": tiny.model.state_dict()}
    save_checkpoint(tmp_path / "runs" / "first" / "best.pt", saved)

    def exported(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["-C", str(tmp_path), "export", "--run", "first", "--light", "low", *arguments])
        return int(stop.value.code or 0), *capsys.readouterr()

    code, out, _ = exported()
    assert code == 0 and "for low images" in out and "8 pictures of noise" in out and "differ by" in out
    assert sorted(path.name for path in (tmp_path / "runs" / "first").iterdir()) == [
        "best.pt", "first-low.onnx", "first-low.toml",
    ]  # fmt: skip
    code, _, err = exported()
    assert code == 2 and "first-low.onnx exists already" in err and "--out" in err
    code, _, err = exported("--out", str(tmp_path / "net.pb"))
    assert code == 2 and "does not end in .onnx" in err
    code, out, _ = exported("--out", str(tmp_path / "other.onnx"), "--json")
    facts = json.loads(out)
    assert code == 0 and facts["card"] == str(tmp_path / "other.toml") and not facts["real"]
