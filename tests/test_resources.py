"""Pipelines and schemas are found the same way from a wheel, an unpacked sdist and the repository."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from docpipe.resources import resource_names

ROOT = Path(__file__).parent.parent

SHOW = """
import sys
sys.path.insert(0, sys.argv[1])
from docpipe.resources import resource, resource_folder, resource_names
for folder in ("pipelines", "schemas"):
    assert resource_folder(folder).is_relative_to(sys.argv[1]), resource_folder(folder)
    print(folder, *resource_names(folder))
    for name in resource_names(folder):
        assert resource(folder, name).read_bytes()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as `wheel` and as `sdist`, unpacked."""
    pytest.importorskip("hatchling", reason="builds with the build backend itself")
    out = tmp_path_factory.mktemp("built")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(out)], cwd=ROOT, check=True, capture_output=True
    )
    (wheel,) = out.glob("*.whl")
    (sdist,) = out.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(out / "wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(out, filter="data")
    (out / sdist.name.removesuffix(".tar.gz")).rename(out / "sdist")
    return out


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_what_ships_is_found_where_it_was_unpacked(built: Path, kind: str) -> None:
    folder = built / kind
    done = subprocess.run(
        [sys.executable, "-c", SHOW, str(folder)], cwd=built, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = [f"{f} {' '.join(resource_names(f))}" for f in ("pipelines", "schemas")]  # type: ignore[arg-type]
    assert done.stdout.splitlines() == expected
    assert "document.v1.json" in done.stdout
    assert "default.toml" in done.stdout


def test_folders_beside_an_installed_package_are_not_taken_for_its_own(built: Path, tmp_path: Path) -> None:
    (tmp_path / "docpipe").mkdir()
    for name in ("__init__.py", "resources.py"):
        (tmp_path / "docpipe" / name).write_bytes((built / "sdist" / "docpipe" / name).read_bytes())
    (tmp_path / "schemas").mkdir()
    code = "import sys; sys.path.insert(0, '.'); from docpipe.resources import resource_folder as f; f('schemas')"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "FileNotFoundError" in done.stderr
