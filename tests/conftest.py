"""Makes the odd stages of tests/run importable by name, in worker processes too."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

# No reading of an earlier run, or of a person's own, is taken for one made here.
os.environ["DOCPIPE_CACHE"] = tempfile.mkdtemp(prefix="docpipe-tests-")

sys.path.insert(0, str(Path(__file__).parent / "run"))
