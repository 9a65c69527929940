"""Makes the odd stages of tests/run importable by name, in worker processes too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "run"))
