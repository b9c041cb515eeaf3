r"""File names of the published ExLPose, read by one grammar.

    name     = [folder "/"] "imgs_" date place "_vid" video "_exp" divisor "_" light "_" frame "__" gain exposure
    date     = 4 digits (month and day)
    place    = "" | ["_"] letters | "_" digit          ("_hwangridan", "hwangridan", "_3")
    video    = digits
    divisor  = digits                                  (100 times k: the base exposure is divided by k)
    light    = "bright" | "dark" | "img"
    frame    = digits
    gain     = "" | "gain_" decibels "_"
    exposure = "exposure_" microseconds ".png"

The annotation files name the bright images, with their gain. The official loader looks for both images of a pair under
the same short name without light and gain, in bright/ and dark/: letters of the place are glued to the date, a digit is
left out. Other releases keep the long names in both folders. A key of what all of them say joins the images of a pair.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

NAME = re.compile(
    r"imgs_(?P<date>\d{4})(?:_?(?P<place>[a-z]+)|_(?P<number>\d))?_vid(?P<video>\d+)_exp(?P<divisor>\d+)"
    r"_(?P<light>bright|dark|img)_(?P<frame>\d+)__(?:gain_(?P<gain>\d+(?:\.\d+)?)_)?exposure_(?P<exposure>\d+)\.png"
)
EXAMPLE = "imgs_0212_hwangridan_vid000020_exp1200_bright_000052__gain_3.40_exposure_417.png"
Key = tuple[str, str, str, str, str]


@dataclass(frozen=True)
class ExlposeName:
    """Parts of a name; digits are kept as they are written. gain_db: of the camera that took the image, if given."""

    date: str
    place: str
    video: str
    divisor: str
    light: str
    frame: str
    gain_db: str | None
    exposure_us: str

    @property
    def key(self) -> Key:
        """What all names of a pair's images share. A digit as place is no part: short names leave it out."""
        place = "" if self.place.isdigit() else self.place
        return self.date, place, self.video, self.divisor, self.frame

    @property
    def scene(self) -> str:
        """A name for the scene: one video of one place and day."""
        return "-".join(filter(None, (self.date, self.place, f"vid{self.video}")))

    @property
    def k(self) -> int:
        """By what the base exposure was divided."""
        return round(int(self.divisor) / 100)

    def long(self) -> str:
        """The name as the annotation files write it.

        >>> parse_name("imgs_0119_3_vid000026_exp100_bright_000052__gain_0.00_exposure_1000.png").long()
        'imgs_0119_3_vid000026_exp100_bright_000052__gain_0.00_exposure_1000.png'
        """
        place = f"_{self.place}" if self.place else ""
        gain = "" if self.gain_db is None else f"gain_{self.gain_db}_"
        return (f"imgs_{self.date}{place}_vid{self.video}_exp{self.divisor}_{self.light}_{self.frame}__{gain}"
                f"exposure_{self.exposure_us}.png")  # fmt: skip

    def short(self) -> str:
        """The name under which the official loader looks for both images of the pair.

        >>> parse_name("imgs_0212_bulguksa_vid000031_exp100_bright_000052__gain_4.40_exposure_5000.png").short()
        'imgs_0212bulguksa_vid000031_exp100_img_000052__exposure_5000.png'
        """
        place = "" if self.place.isdigit() else self.place
        bare = replace(self, date=self.date + place, place="", light="img", gain_db=None)
        return bare.long()


def parse_name(file_name: str) -> ExlposeName | None:
    """Parts of a name, in whatever folder; None when the grammar does not fit."""
    match = NAME.fullmatch(file_name.rsplit("/", 1)[-1])
    if match is None:
        return None
    return ExlposeName(
        match["date"], match["place"] or match["number"] or "", match["video"], match["divisor"], match["light"],
        match["frame"], match["gain"], match["exposure"],
    )  # fmt: skip


def well_gain_db(file_name: str) -> float | None:
    """The bright camera's gain, where a name is a bright image's and tells it."""
    name = parse_name(file_name)
    return float(name.gain_db) if name is not None and name.light == "bright" and name.gain_db is not None else None
