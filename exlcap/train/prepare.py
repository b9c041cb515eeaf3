"""Everything between the command line and the loop: the config of a run, and its data."""

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
from exlcap.train.distributed import tell, world
from exlcap.train.loop import TrainData
from exlcap.train.networks.pretrained import check_backbone
from exlcap.train.runs import load_checkpoint, make_run_folder
from exlcap.train.settings import Settings, merged, preset, read_toml
from exlcap.train.stored import complete, config_from_toml, differences, migrated, read_settings

COMMENTS = "the presets in train/presets say what each setting means"


def new_run(folder: Path, config: Config, data_folder: Path) -> TrainData:
    """Read the data, then make the run's folder.

    Raises ExlcapError when the folder exists, the weights it begins with cannot be had, or the data are no good.
    Of several processes the first does so, and the others read when it is done.
    """
    where = world()
    if where.first:
        if folder.exists():
            raise ExlcapError(
                f"a run named {folder.name} exists already", "choose another --run NAME, or go on with it: --resume"
            )
        check_dataset(data_folder)  # before weights are downloaded
        backbone_sha256 = check_backbone(config)
        data = read_data(data_folder, config)
        make_run_folder(folder, config, data.checksum, backbone_sha256)
    where.wait()
    return data if where.first else read_data(data_folder, config)


def resumed_run(folder: Path, config: Config, data_folder: Path) -> TrainData:
    """Read the data of a run that goes on. Raises ExlcapError when they have changed since."""
    check_dataset(data_folder)
    last = folder / "last.pt"
    if last.exists() and load_checkpoint(last)["data_checksum"] != data_checksum(data_folder):
        raise ExlcapError(
            f"the data set {config.data} has changed since the run {folder.name} began",
            "bring the old data set back, or start a new run with another --run NAME",
        )
    where = world()
    if where.first:
        data = read_data(data_folder, config)
    where.wait()
    return data if where.first else read_data(data_folder, config)


def new_config(preset_name: str, config_file: Path | None, options: Settings) -> Config:
    """Preset, then the config file's values, then the command line's.

    Raises ExlcapError naming an unknown key or a bad value, or when no data set is named.
    """
    settings = preset(preset_name)
    if config_file is not None:
        settings = merged(settings, read_settings(config_file))
    settings = merged(settings, options)
    if "data" not in settings:
        raise ExlcapError("no data set is named", "add --data NAME, of a data set made with `exlcap build`")
    return parse(Config, settings, config_file or f"preset {preset_name}", COMMENTS)


def resumed_config(folder: Path, config_file: Path | None, options: Settings) -> Config:
    """Config of a run that goes on: its own.

    Raises ExlcapError when there is no such run, or when config.toml, the config file or an option says otherwise than
    the last checkpoint, naming the difference.
    """
    path = folder / "config.toml"
    if not path.exists():
        raise ExlcapError(f"no run to resume in {folder}", "leave out --resume to start it")
    wanted = migrated(read_toml(path), path)
    begun = config_from_toml(path.read_text(encoding="utf-8"), path)
    if (folder / "last.pt").exists():
        begun = config_from_toml(load_checkpoint(folder / "last.pt")["config"], folder / "last.pt")
    if config_file is not None:
        wanted = merged(wanted, read_settings(config_file))
    config = complete(merged(wanted, options), config_file or path)
    if changed := differences(begun, config):
        raise ExlcapError(
            f"{folder.name} was begun with other settings ({'; '.join(changed)})",
            "resume without changes, or start a new run with another --run NAME",
        )
    return config


def read_data(folder: Path, config: Config) -> TrainData:
    """Crops of the training pairs and the validation split. Raises ExlcapError when nobody is there to learn from."""
    check_dataset(folder)
    checksum = data_checksum(folder)
    train = read_split(folder, "train")
    if train is None or not train.pairs:
        raise ExlcapError(
            f"{folder / 'annotations' / 'train.json'} holds no person that both images of a pair show", REBUILD
        )
    if train.unpaired:
        tell(f"{train.unpaired} people that only one image of their pair shows take no part")
    people = [person for pair in train.pairs for person in (pair.low, pair.well)]
    crops = cached_crops(folder, "train", checksum, people, config.size, config.input)
    return TrainData(
        folder=folder,
        checksum=checksum,
        train=[PairCrop(low, well) for low, well in zip(crops[::2], crops[1::2], strict=True)],
        val=_validation(folder, checksum, config),
    )


def _validation(folder: Path, checksum: str, config: Config) -> dict[Light, tuple[Split, list[Crop]]]:
    """The validation images of the lightings the method trains on, with their crops."""
    split = read_split(folder, "val")
    if split is None or not split.people:
        tell("the data set has no validation split: the last weights will be taken for the best")
        return {}
    crops = cached_crops(folder, "val", checksum, split.people, config.size, config.input)
    parts = {light: one_light(split, light) for light in LIGHTS if config.method.lights in ("both", light)}
    return {
        light: (part, [crop for crop in crops if crop.person.light == light])
        for light, part in parts.items()
        if part.people
    }
