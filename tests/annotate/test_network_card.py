"""Cards: those that come along are whole, and a slip in a user's own is named with its place."""

from pathlib import Path

import pytest

from exlcap.annotate.networks.card import SHIPPED, read_card
from exlcap.core.errors import ExlcapError
from exlcap.core.joints import JOINTS

TEST_CARDS = Path(__file__).parent / "cards"
OWN = """
name = "cpn50-plaza"
version = "run plaza"

[weights]
file = "cpn.onnx"

[input]
width = 192
height = 256
pad = "mean"
box_scale = [1.2, 1.4]

[heatmap]
offset = 0.5

[joints]
names = [{names}]
"""


def own_card(folder, change=("", ""), names=JOINTS):
    text = OWN.format(names=", ".join(f'"{name}"' for name in names))
    assert change[0] in text
    path = folder / "own.toml"
    path.write_text(text.replace(*change), encoding="utf-8")
    return path


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_cards_give_all_14_joints_over_https(path):
    card = read_card(path.stem)
    assert card.name == path.stem
    assert card.weights.url and card.weights.url.startswith("https://")
    if card.joints is not None:
        assert card.joints.lacking == ()
    if card.crops:
        assert card.detector_card and read_card(card.detector_card).detector is not None


def test_halpe26_has_head_and_neck_at_17_and_18():
    joints = read_card("rtmpose-x").joints
    assert joints is not None
    assert len(joints.names) == 26
    assert (joints.names[17], joints.names[18]) == ("head", "neck")
    assert joints.derived == {}


def test_own_network_with_files_beside_the_card(tmp_path):
    card = read_card(own_card(tmp_path))
    assert card.heatmap is not None
    assert card.heatmap.offset == 0.5
    assert card.heatmap.stride is None
    assert card.weights.file == str(tmp_path.resolve() / "cpn.onnx")
    assert card.crops
    assert card.detector_card is None


def test_a_partner_is_a_card_beside_it_or_a_shipped_one(tmp_path):
    card = read_card(own_card(tmp_path, ("version", 'detector_card = "yolox-m"\nversion')))
    assert card.detector_card == str(SHIPPED / "yolox-m.toml")
    assert read_card(TEST_CARDS / "movenet.toml").detector_card == str(TEST_CARDS / "rtmdet-nano.toml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("width", "widht"), "unknown key 'input.widht'"),
        (("[heatmap]\noffset = 0.5", ""), "exactly one of the tables"),
        (("[heatmap]", "[simcc]\n[heatmap]"), "found heatmap, simcc"),
        (('"neck"', '"head"'), "the joint 'head' is named twice"),
        (('file = "cpn.onnx"', ""), "either `url` or `file`"),
        (('file = "cpn.onnx"', 'file = "cpn.onnx"\nsha256 = "abc"'), "weights.sha256"),
        (("offset = 0.5", "blur = 4"), "must be odd"),
        (("width = 192", "width = 192\nstd = [1, 0, 1]"), "above 0"),
        (('name = "cpn50-plaza"', 'name = "cpn50-plaza"\nformat = 2'), "unknown format 2"),
        (('name = "cpn50-plaza"', 'name = "cpn50-plaza"\ndetector_card = "nowhere"'), "no card 'nowhere'"),
        (("[joints]", "[joints]\nderived.neck = {weights = {head = 1}, score = 0.5}"), "not among the names"),
        (("[joints]", "[joints"), "not valid TOML"),
    ],
)
def test_a_slip_is_named(tmp_path, change, message):
    with pytest.raises(ExlcapError) as caught:
        read_card(own_card(tmp_path, change))
    assert message in caught.value.message
    assert "docs/" not in caught.value.hint  # which an installed wheel does not have


def test_weights_of_a_derived_joint_add_up(tmp_path):
    rule = "[joints.derived.neck]\nweights = {left_shoulder = 0.5, right_shoulder = 0.6}\nscore = 0.5\n"
    path = own_card(tmp_path, names=JOINTS[:13])
    path.write_text(path.read_text() + rule)
    with pytest.raises(ExlcapError, match=r"add up to 1\.1"):
        read_card(path)


def test_a_card_that_is_not_there_lists_those_that_are():
    with pytest.raises(ExlcapError, match="no card 'rtmpose-xxl'") as caught:
        read_card("rtmpose-xxl")
    assert "rtmpose-x" in caught.value.hint


def test_the_card_in_the_guide_is_whole(tmp_path):
    guide = (Path(__file__).parents[2] / "docs" / "networks.md").read_text(encoding="utf-8")
    card, rule = (part.split("```")[0] for part in guide.split("```toml\n")[1:])
    (tmp_path / "own.toml").write_text(card, encoding="utf-8")
    assert read_card(tmp_path / "own.toml").joints.lacking == ()
    names = '[joints]\nnames = ["left_ear", "right_ear", "left_shoulder", "right_shoulder"]\n'
    (tmp_path / "derived.toml").write_text(card.split("[joints]")[0] + names + rule, encoding="utf-8")
    assert "head" in read_card(tmp_path / "derived.toml").joints.derived
