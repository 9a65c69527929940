"""The engine: OpenCV's decoder. It answers each request in order; a failure is an answer, never an exception."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from docpipe.document import Origin
from docpipe.engines.base import Answer, Request
from docpipe.errors import DocpipeError
from docpipe.tasks import Task


class QrEngine:
    """Reads the task `qr`. least: pixels that a picture's shorter side must have to be looked at."""

    name = "opencv-qr"

    def __init__(self, *, least: int = 40) -> None:
        self.least = least

    def can_read(self, task: Task) -> bool:
        return task.name == "qr"

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        for request in requests:
            origin = Origin(engine=self.name, crop=request.clipping.record)
            try:
                image = request.clipping.image
                if min(image.size) < self.least:
                    yield Answer(origin, reason="the picture is too small for a QR code")
                    continue
                # A code needs a quiet zone, which a crop may have cut off.
                pixels = cv2.copyMakeBorder(
                    np.asarray(image.convert("L")), 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=255
                )
                said, corners, _ = cv2.QRCodeDetector().detectAndDecode(pixels)
                if said:
                    yield Answer(origin, request.task.parse(said))
                else:
                    yield Answer(origin, reason="no QR code" if corners is None else "a QR code that cannot be decoded")
            except Exception as error:
                coded = DocpipeError("DP304", self.name, f"{type(error).__name__}: {error}")
                yield Answer(origin, error=coded.item(request.sheet.page.number, request.region.id))
