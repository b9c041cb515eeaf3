"""What a run needs before its first step: its config and its data."""

from __future__ import annotations

from pathlib import Path

from exlcap.core.errors import ExlcapError
from exlcap.core.records import parse
from exlcap.core.rig import LIGHTS, Light
from exlcap.train.config import Config
from exlcap.train.data.batches import PairCrop
from exlcap.train.data.cache import cached_crops
from exlcap.train.data.crops import Crop
from exlcap.train.data.people import REBUILD, Split, check_dataset, data_checksum, one_light, read_split
from exlcap.train.loop import TrainData
from exlcap.train.machine.distributed import tell, world
from exlcap.train.networks.pretrained import check_backbone
from exlcap.train.runs import load_checkpoint, make_run_folder
from exlcap.train.settings import PRESETS, Settings, merged, preset, read_toml
from exlcap.train.stored import complete, config_from_toml, differences, migrated, read_settings

COMMENTS = f"the comments in {PRESETS / 'modern.toml'} say what each setting means"


def new_run(folder: Path, config: Config, data_folder: Path) -> TrainData:
    """Read the data, then make the run's folder.

    Raises ExlcapError when the folder exists, when the initial weights cannot be had, or when the data set cannot be
    used. Of several processes the first one does this; the others read when it is done.
    """
    where = world()
    if where.first:
        if folder.exists():
            raise ExlcapError(
                f"a run named {folder.name} exists already", "choose another --run NAME, or continue it with --resume"
            )
        check_dataset(data_folder)  # before weights are downloaded
        backbone_sha256 = check_backbone(config)
        data = read_data(data_folder, config)
        make_run_folder(folder, config, data.checksum, backbone_sha256)
    where.wait()
    return data if where.first else read_data(data_folder, config)


def resumed_run(folder: Path, config: Config, data_folder: Path) -> TrainData:
    """Read the data of a run that is resumed. Raises ExlcapError when the data set has changed since it began."""
    check_dataset(data_folder)
    last = folder / "last.pt"
    if last.exists() and load_checkpoint(last)["data_checksum"] != data_checksum(data_folder):
        raise ExlcapError(
            f"the data set {config.data} has changed since the run {folder.name} began",
            "restore the old data set, or start a new run with another --run NAME",
        )
    where = world()
    if where.first:
        data = read_data(data_folder, config)
    where.wait()
    return data if where.first else read_data(data_folder, config)


def new_config(preset_name: str, config_file: Path | None, options: Settings) -> Config:
    """The preset, overridden by the config file, overridden by the command line.

    Raises ExlcapError naming an unknown key or a bad value, or when no data set is named.
    """
    settings = preset(preset_name)
    if config_file is not None:
        settings = merged(settings, read_settings(config_file))
    settings = merged(settings, options)
    if "data" not in settings:
        raise ExlcapError(
            "no data set is named", "add --data NAME with the name of a data set, as `exlcap build` makes it"
        )
    return parse(Config, settings, config_file or f"preset {preset_name}", COMMENTS)


def resumed_config(folder: Path, config_file: Path | None, options: Settings) -> Config:
    """The config of a run that is resumed: its own.

    Raises ExlcapError when there is no such run, or when config.toml, the config file or an option differs from the
    last checkpoint, naming the difference.
    """
    path = folder / "config.toml"
    if not path.exists():
        raise ExlcapError(f"no run to resume in {folder}", "leave out --resume to start a new one")
    wanted = migrated(read_toml(path), path)
    begun = config_from_toml(path.read_text(encoding="utf-8"), path)
    if (folder / "last.pt").exists():
        begun = config_from_toml(load_checkpoint(folder / "last.pt")["config"], folder / "last.pt")
    if config_file is not None:
        wanted = merged(wanted, read_settings(config_file))
    config = complete(merged(wanted, options), config_file or path)
    if changed := differences(begun, config):
        raise ExlcapError(
            f"{folder.name} was started with other settings ({'; '.join(changed)})",
            "resume it without changes, or start a new run with another --run NAME",
        )
    return config


def read_data(folder: Path, config: Config) -> TrainData:
    """Crops of the training pairs and of the validation split. Raises ExlcapError when there are no training pairs."""
    check_dataset(folder)
    checksum = data_checksum(folder)
    train = read_split(folder, "train")
    if train is None or not train.pairs:
        raise ExlcapError(
            f"{folder / 'annotations' / 'train.json'} has no person who is labelled in both images of a pair", REBUILD
        )
    if train.unpaired:
        tell(f"{train.unpaired} people are labelled in only one image of their pair and are left out")
    people = [person for pair in train.pairs for person in (pair.low, pair.well)]
    crops = cached_crops(folder, "train", checksum, people, config.size, config.input)
    return TrainData(
        folder=folder,
        checksum=checksum,
        train=[PairCrop(low, well) for low, well in zip(crops[::2], crops[1::2], strict=True)],
        val=_validation(folder, checksum, config),
    )


def _validation(folder: Path, checksum: str, config: Config) -> dict[Light, tuple[Split, list[Crop]]]:
    """The validation images of the lights that the method trains on, with their crops."""
    split = read_split(folder, "val")
    if split is None or not split.people:
        tell("the data set has no validation split: the last weights will count as the best")
        return {}
    crops = cached_crops(folder, "val", checksum, split.people, config.size, config.input)
    parts = {light: one_light(split, light) for light in LIGHTS if config.method.lights in ("both", light)}
    return {
        light: (part, [crop for crop in crops if crop.person.light == light])
        for light, part in parts.items()
        if part.people
    }
