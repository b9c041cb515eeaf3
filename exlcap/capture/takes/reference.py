"""A reference just shot: did anything move in it?"""

from __future__ import annotations

from exlcap.core.errors import Refused
from exlcap.core.take import TakeWriter, read_take


def mark_motion(writer: TakeWriter) -> None:
    """Note in the header of a whole reference what moved while it was shot, if anything did; `align` refuses it."""
    from exlcap.align.checks import check_static

    if writer.header.kind != "reference" or writer.header.status != "complete":
        return
    try:
        check_static(read_take(writer.folder), writer.header.rig.alignment.moved_share)
    except Refused as refusal:
        writer.finish("complete", refusal.message)
