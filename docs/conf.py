"""The site: `sphinx-build -W docs site`. The notebook is executed, so a guide that breaks fails the build."""

from docpipe import __version__

project, author, copyright = "docpipe", "docpipe's authors", "docpipe's authors, Apache-2.0"
release = version = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc"]
html_theme, html_title = "furo", "docpipe"
exclude_patterns = ["_build", "guides/pictures.py"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.xref_missing", "myst.header"]
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"


def _plain(app, what, name, obj, options, lines):  # noqa: ARG001
    """Docstrings are plain prose: two stars are the name of a notation, not the start of bold type."""
    lines[:] = [line.replace("**kern", r"\*\*kern") for line in lines]


def setup(app):
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", _plain)
