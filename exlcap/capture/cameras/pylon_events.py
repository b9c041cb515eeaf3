"""Events that a pylon device sends beside its frames, counted."""

from __future__ import annotations

from typing import Any

from exlcap.capture.cameras.pylon_nodes import Nodes

TRIGGER_MISSED = "FrameTriggerMissed"
"""A pulse came before the camera was ready, and was ignored (docs.baslerweb.com/event-notification)."""


class EventCount:
    """How often a device reported an event since it was opened; None where it has no such event.

    device: an open pylon.InstantCamera whose GrabCameraEvents was switched on before it was opened. Events may be lost
    at high rates, so a count is the least that happened.
    """

    def __init__(self, pylon: Any, device: Any, nodes: Nodes, event: str) -> None:
        self._count = 0
        self._has_it = nodes.put("EventSelector", event) and nodes.put("EventNotification", "On", event)
        if not self._has_it:
            return
        handler = _handler(pylon, self._note)
        device.RegisterCameraEventHandler(
            handler,
            f"Event{event}Timestamp",
            0,
            pylon.RegistrationMode_Append,
            pylon.Cleanup_Delete,  # the device outlives a handler that only Python holds, and crashes at its end
            pylon.CameraEventAvailability_Optional,
        )

    @property
    def value(self) -> int | None:
        """How often it came."""
        return self._count if self._has_it else None

    def _note(self) -> None:
        self._count += 1


def _handler(pylon: Any, note: Any) -> Any:
    """What pylon calls, on a thread of its own, for every event."""

    class Handler(pylon.CameraEventHandler):  # type: ignore[misc]
        def OnCameraEvent(self, *_: object) -> None:
            note()

    return Handler()
