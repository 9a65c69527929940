"""Where a server is, and the token that it wants: checked before anything is sent there."""

from __future__ import annotations

import logging
import os
from urllib.parse import urlsplit

from docpipe.errors import DocpipeError

_log = logging.getLogger(__name__)


def api_url(url: str) -> str:
    """The address of an API without a slash at its end, /v1 where it has no path.

    Raises DP532 for anything but http and https, and for one that holds a user or a password.
    """
    try:
        found = urlsplit(url.strip())
        host, _ = found.hostname, found.port
    except ValueError as error:
        raise DocpipeError("DP532", "url", str(error)) from error
    if found.scheme not in ("http", "https") or not host:
        raise DocpipeError("DP532", "url", "it must be an http or https address, as http://host:8000/v1")
    if found.username is not None or found.password is not None:
        raise DocpipeError("DP532", "url", "it must hold no password: name the token's variable with key_env")
    if found.query or found.fragment:
        raise DocpipeError("DP532", "url", "it must end with the path of the API")
    path = found.path.rstrip("/").removesuffix("/chat/completions")
    return f"{found.scheme}://{found.netloc}{path or '/v1'}"


def token_in(variable: str | None, url: str) -> str | None:
    """The token in an environment variable. Raises DP532 when there is none; it never shows one."""
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise DocpipeError("DP532", "key_env", f"the environment variable {variable} is not set")
    if not key.isascii() or not key.isprintable():
        raise DocpipeError("DP532", "key_env", f"what {variable} holds is no token")
    if url.startswith("http:") and urlsplit(url).hostname not in ("localhost", "127.0.0.1", "::1"):
        _log.warning("the token of %s is sent to %s unencrypted", variable, url)
    return key
