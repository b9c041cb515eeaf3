"""The levels of low light in the paper (ExLPose, Lee et al., CVPR 2023)."""

HARD_FROM_DB = 15.0
EXTREME_FROM_DB = 24.0


def lighting_split(well_gain_db: float) -> str:
    """The low-light test split of a pair by its well-lit gain: LL-N < 15 dB <= LL-H < 24 dB <= LL-E (ExLPose).

    >>> [lighting_split(g) for g in (14.9, 15.0, 23.98, 24.06)]
    ['LL-N', 'LL-H', 'LL-H', 'LL-E']
    """
    if well_gain_db < HARD_FROM_DB:
        return "LL-N"
    return "LL-H" if well_gain_db < EXTREME_FROM_DB else "LL-E"
