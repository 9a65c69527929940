"""How many documents are open at once: as many as it takes to keep the workers busy, by the pages that they have left.

Documents of a page or two must be many for batches to fill; of documents of five hundred pages each would hold what it
has gathered of its pages until its end, and none would be finished for long.
"""

from __future__ import annotations

import threading

from docpipe.run.stopping import StoppedError

UNKNOWN = 32
"""Pages that a document counts for until it is known how many it has."""


class Gate:
    """Lets documents in while those within have fewer than `pages` pages left. Called from several threads."""

    def __init__(self, pages: int) -> None:
        self._pages = pages
        self._left: dict[str, int] = {}
        self._changed = threading.Condition()
        self._closed = False

    def enter(self, key: str) -> None:
        """Wait until there is room for one more; one alone is always let in. Raises StoppedError once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._left or sum(self._left.values()) < self._pages)
            if self._closed:
                raise StoppedError
            self._left[key] = UNKNOWN

    def opened(self, key: str, pages: int) -> None:
        """So many pages of a document are left."""
        self._change(key, pages)

    def page(self, key: str) -> None:
        """One page less is left of a document."""
        self._change(key, self._left.get(key, 1) - 1)

    def leave(self, key: str) -> None:
        """A document is done with."""
        with self._changed:
            self._left.pop(key, None)
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _change(self, key: str, left: int) -> None:
        with self._changed:
            if key in self._left:  # one that came another way is not counted
                self._left[key] = max(0, left)
                self._changed.notify_all()
