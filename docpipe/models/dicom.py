"""X-rays in DICOM files as the grey image that a viewer shows. Needs the extra `dicom` (pydicom)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from docpipe.errors import DocpipeError
from docpipe.imagefile import MAX_PIXELS

if TYPE_CHECKING:
    from pydicom import Dataset


def is_dicom(data: bytes) -> bool:
    """Whether a file is DICOM, by its preamble (DICOM PS3.10, section 7.1)."""
    return data[128:132] == b"DICM"


def dicom_image(data: bytes, name: str) -> Image.Image:
    """The first frame of a DICOM file as RGB, as its first window shows it (PS3.3, C.11.1 and C.11.2); without a
    window the whole range of its values. MONOCHROME1 is turned over, so that more signal is lighter. Patient data is
    not read.

    Raises DP305 without pydicom, DP110 when the image is too large, DP101 when it is not a grey image, DP103 when the
    file is damaged or compressed in a way that needs a plug-in of pydicom's.
    """
    try:
        from pydicom import dcmread
    except ImportError as error:
        raise DocpipeError("DP305", name, "DICOM is read by pydicom: pip install 'docpipe[dicom]'") from error
    try:
        stored = dcmread(io.BytesIO(data))
        if "PixelData" not in stored or int(stored.get("SamplesPerPixel", 1)) != 1:
            raise DocpipeError("DP101", name, "the DICOM file holds no grey image")
        size = int(stored.Rows) * int(stored.Columns)
        if size * int(stored.get("NumberOfFrames") or 1) > MAX_PIXELS:
            raise DocpipeError("DP110", name, f"{stored.Columns} x {stored.Rows} px, several frames counted together")
        shown = _shown(stored)
    except DocpipeError:
        raise
    except Exception as error:  # pydicom raises as many kinds as there are ways to be damaged
        raise DocpipeError("DP103", name, f"the DICOM file cannot be read: {error}") from error
    if stored.get("PhotometricInterpretation") == "MONOCHROME1":
        shown = 1 - shown
    return Image.fromarray(np.rint(shown * 255).astype(np.uint8)).convert("RGB")


def _shown(stored: Dataset) -> NDArray[np.float64]:
    """The first frame, 0 (black) to 1, after modality and window transforms."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    pixels = stored.pixel_array
    values = apply_modality_lut(pixels[0] if pixels.ndim == 3 else pixels, stored)
    if "VOILUTSequence" in stored:
        values = apply_voi_lut(values, stored)
    elif stored.get("WindowCenter") is not None and stored.get("WindowWidth") is not None:
        window = _first(stored.WindowCenter), _first(stored.WindowWidth)
        return windowed(np.asarray(values, dtype=np.float64), *window, str(stored.get("VOILUTFunction") or "LINEAR"))
    grey = np.asarray(values, dtype=np.float64)
    low, high = float(grey.min()), float(grey.max())
    return (grey - low) / (high - low) if high > low else np.zeros_like(grey)


def windowed(values: NDArray[np.float64], center: float, width: float, function: str = "LINEAR") -> NDArray[np.float64]:
    """Values as shades of 0 to 1 by a window (PS3.3, C.11.2.1.2 and C.11.2.1.3): LINEAR, LINEAR_EXACT or SIGMOID.

    Raises ValueError for a window without width.
    """
    if width < 1 and (function == "LINEAR" or width <= 0):
        raise ValueError(f"a window of width {width:g}")
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0, 1)
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def _first(value: object) -> float:
    """The first of several windows, or the only one."""
    several = value if isinstance(value, list | tuple) or hasattr(value, "__len__") else [value]
    return float(several[0])  # type: ignore[index]
