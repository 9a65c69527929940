"""A Hugging Face data set: saved to disk, a folder of Parquet files, or a hub name through the local cache.

Images that lie inside the data set are written as files into `.docpipe-images` beside it, once. Needs the extra
docpipe[parquet].
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docpipe.errors import DocpipeError
from docpipe.train.examples import Example

IMAGES = ".docpipe-images"


def read(
    place: Path,
    split: str,
    task: str,
    image: str = "image",
    target: str = "text",
    parts: Mapping[str, str] | None = None,
) -> Iterator[Example]:
    """image, target: the columns. parts: for each blank of the prompt the column that fills it. Raises DP305, DP622."""
    found = _split(_opened(place), split or "train", place)
    if found is None:
        return
    from datasets import Image as ImageFeature

    columns = [image, target, *(parts or {}).values()]
    missing = [name for name in columns if name not in found.column_names]
    if missing:
        raise DocpipeError("DP622", str(place), f"no column {missing[0]!r}; there are {', '.join(found.column_names)}")
    if isinstance(found.features.get(image), ImageFeature):
        found = found.cast_column(image, ImageFeature(decode=False))
    for row in found:
        blanks = {blank: str(row[column]) for blank, column in (parts or {}).items()}
        yield Example(_file(row[image], place), task, str(row[target]), blanks)


def _opened(place: Path) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DocpipeError("DP305", "datasets", "docpipe[parquet] brings it") from error
    try:
        if (place / "dataset_info.json").is_file() or (place / "dataset_dict.json").is_file():
            return datasets.load_from_disk(str(place))
        files: dict[str, list[str]] = {}
        for path in sorted(place.rglob("*.parquet")):
            name = path.stem.partition("-")[0]
            files.setdefault({"validation": "validation", "val": "validation"}.get(name, name), []).append(str(path))
        if not files:
            raise DocpipeError("DP622", str(place), "no saved data set and no .parquet file")
        if not {"train", "validation", "test"} & files.keys():
            files = {"train": [path for some in files.values() for path in some]}
        made = {
            name: datasets.Dataset.from_parquet(paths, cache_dir=str(place / IMAGES / "cache"))
            for name, paths in files.items()
        }
        return datasets.DatasetDict(made)
    except (OSError, ValueError) as error:
        raise DocpipeError("DP622", str(place), str(error)) from error


def _split(found: Any, split: str, place: Path) -> Any:
    if not hasattr(found, "keys"):  # one Dataset, without splits
        return found if split == "train" else None
    if split in found:
        return found[split]
    if split != "train":
        return None
    raise DocpipeError("DP622", str(place), f"no split {split!r}; there are {', '.join(found)}")


def _file(value: Any, place: Path) -> Path:
    """The path of an image: as it is, or of its bytes, written under their digest."""
    if isinstance(value, str):
        return Path(value) if Path(value).is_absolute() else place / value
    data, path = value.get("bytes"), value.get("path")
    if data is None:
        return Path(path) if Path(path).is_absolute() else place / path
    from PIL import Image

    kind = Image.open(io.BytesIO(data)).format or "png"
    file = place / IMAGES / f"{hashlib.sha256(data).hexdigest()[:32]}.{kind.lower()}"
    if not file.is_file():
        file.parent.mkdir(exist_ok=True)
        beside = file.with_suffix(".new")
        beside.write_bytes(data)
        beside.replace(file)
    return file
