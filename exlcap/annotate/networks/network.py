"""A network ready to run: weights found or downloaded, opened by ONNX Runtime, fed as its card says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from exlcap.annotate.networks.card import Card, Input, Output
from exlcap.core.develop import Rgb8
from exlcap.core.downloads import fetch, read_member, weights_folder
from exlcap.core.errors import ExlcapError
from exlcap.core.files import sha256_bytes

if TYPE_CHECKING:
    import onnxruntime

MAX_BATCH = 16
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Network:
    """A card with its session. sha256: of the ONNX file itself. batch: the most inputs it takes at once."""

    card: Card
    session: onnxruntime.InferenceSession
    sha256: str
    batch: int

    @property
    def origin(self) -> str:
        """What labels record of it: name, version, SHA-256 of the weights, and a short hash of the card."""
        facts = self.card.model_dump_json(exclude={"about", "weights", "detector_card", "second_card"})
        return f"{self.card.name} {self.card.version} sha256:{self.sha256} card:{sha256_bytes(facts.encode())[:8]}"

    @property
    def device(self) -> str:
        """Where it runs: "CPU" or "CUDA"."""
        return str(self.session.get_providers()[0]).removesuffix("ExecutionProvider")


def load_network(card: Card, given: Path | None = None, threads: int = 0, way_out: str = "") -> Network:
    """Open a network. given: its weights' file, in place of the card's. threads: 0 means one per core.

    way_out: the hint of the error when its weights are not available. Raises ExlcapError then, or when they are not the
    card's.
    """
    import onnxruntime

    data, source = _weights(card, given, way_out or elsewhere([card]))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # waiting threads sleep: spinning, the threads of two networks or of other programs would slow each other down
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: its warnings are about graphs, which nobody here can change
    wanted = [
        p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in onnxruntime.get_available_providers()
    ]
    try:
        session = onnxruntime.InferenceSession(data, options, providers=wanted)
    except Exception as error:  # ONNX Runtime has an exception of its own for each way a file can be wrong
        reason = str(error).splitlines()[0]
        raise ExlcapError(
            f"{source} is not a network that ONNX Runtime can open ({reason})", "check the file"
        ) from None
    return Network(card, session, sha256_bytes(data), _checked_batch(session, card, source))


def weights_file_name(card: Card) -> str:
    """Name of the file that holds a card's weights."""
    return PurePosixPath(urlsplit(card.weights.url).path if card.weights.url else Path(card.weights.file or "")).name


def weights_at_hand(card: Card) -> bool:
    """Whether a card's weights are on this machine."""
    file = Path(card.weights.file) if card.weights.file else weights_folder() / weights_file_name(card)
    return file.is_file()


def elsewhere(cards: Sequence[Card]) -> str:
    """How to bring weights here by hand, for the hint of an error."""
    places = " and ".join(card.weights.url or weights_file_name(card) for card in cards)
    options = " ".join(f"--weights {card.name}=FILE" for card in cards)
    return f"download {places} on another machine and run with {options}"


def _weights(card: Card, given: Path | None, way_out: str) -> tuple[bytes, Path]:
    """Content of the ONNX file, and where it came from."""
    weights = card.weights
    if given is not None:
        path = given
    elif weights.url is not None:
        path = weights_folder() / weights_file_name(card)
        fetch(weights.url, path, weights.sha256, way_out=way_out)
    else:
        path = Path(weights.file or "")
    if not path.is_file():
        raise ExlcapError(f"the weights of {card.name} are not at {path}", f"correct `file` in the card, or {way_out}")
    data = path.read_bytes()
    # an ONNX file taken out of the zip by hand has another sum than the zip that the card means
    if weights.sha256 and (weights.member is None or path.suffix == ".zip"):
        digest = sha256_bytes(data)
        if digest != weights.sha256:
            raise ExlcapError(f"{path} has SHA-256 {digest}, the card of {card.name} says {weights.sha256}", way_out)
    if path.suffix == ".zip":
        return read_member(path, weights.member or "end2end.onnx"), path
    return data, path


def _checked_batch(session: onnxruntime.InferenceSession, card: Card, source: Path) -> int:
    """How many inputs the network takes at once. Raises ExlcapError when its input is not what the card says."""
    shape = session.get_inputs()[0].shape
    height, width = card.input.height, card.input.width
    expected = [3, height, width] if card.input.layout == "NCHW" else [height, width, 3]
    fits = len(shape) == 4 and all(not isinstance(a, int) or a == b for a, b in zip(shape[1:], expected, strict=True))
    if not fits:
        raise ExlcapError(
            f"{source} takes {shape}, the card of {card.name} says {['N', *expected]}", "correct [input] in the card"
        )
    return shape[0] if isinstance(shape[0], int) and shape[0] > 0 else MAX_BATCH


def run(network: Network, pictures: Rgb8, outputs: Sequence[Output]) -> list[Array]:
    """Outputs for pictures, uint8 (N, height, width, 3) RGB of the input's size; each is float64 (N, ...).

    Raises ExlcapError when the network has no such output.
    """
    size = (network.card.input.height, network.card.input.width)
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (*size, 3):
        raise ValueError(
            f"pictures: expected uint8 (N, {size[0]}, {size[1]}, 3), got {pictures.dtype} {pictures.shape}"
        )
    names = [_name(network, output) for output in outputs]
    entry = network.session.get_inputs()[0].name
    batches: list[list[Any]] = [[] for _ in names]
    for start in range(0, len(pictures), network.batch):
        part = pictures[start : start + network.batch]
        # a network of a fixed batch gets its last one filled up
        filled = part if network.batch == MAX_BATCH else np.resize(part, (network.batch, *part.shape[1:]))
        for kept, value in zip(
            batches, network.session.run(names, {entry: input_tensor(network.card.input, filled)}), strict=True
        ):
            kept.append(np.asarray(value)[: len(part)])
    return [np.concatenate(parts).astype(np.float64) for parts in batches]


def input_tensor(form: Input, pictures: Rgb8) -> npt.NDArray[Any]:
    """Pictures, uint8 (N, height, width, 3) RGB, in the colours, scale, layout and type that a network wants."""
    values: npt.NDArray[Any] = pictures[..., ::-1] if form.colour == "BGR" else pictures
    if any(form.mean) or form.std != (1.0, 1.0, 1.0):
        values = (values - np.array(form.mean, np.float32)) / np.array(form.std, np.float32)
    if form.layout == "NCHW":
        values = values.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(values, form.dtype)


def _name(network: Network, output: Output) -> str:
    names = [entry.name for entry in network.session.get_outputs()]
    if isinstance(output, int) and 0 <= output < len(names):
        return str(names[output])
    if output in names:
        return str(output)
    raise ExlcapError(
        f"{network.card.name} has no output {output!r}", f"its outputs are {', '.join(names)}; mend its card"
    )
