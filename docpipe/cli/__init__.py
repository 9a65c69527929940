"""The command line: `docpipe convert`, `read`, `inspect` and what tells about docpipe itself. One file a family."""

from __future__ import annotations

import io
import sys

from docpipe.cli.app import app
from docpipe.errors import DocpipeError


def main() -> None:
    """Run the command line. A coded error is one line on standard error and exit code 1; Ctrl-C is 130."""
    # Each module below registers its commands with the app.
    from docpipe.cli import (  # noqa: F401
        about,
        ask,
        bench,
        convert,
        eval,
        export,
        inspect,
        journal,
        models,
        plan,
        read,
        serve,
        synth,
        train,
        view,
    )

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a sign that the terminal lacks, or a name that is no text
    try:
        app()
    except DocpipeError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone: nothing to tell
        sys.stderr.close()
        sys.exit(1)
