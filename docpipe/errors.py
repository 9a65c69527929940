"""Coded errors: what happened, what to do about it, and whose fault it is.

Each code is catalogued here once, so documentation and searches find it. An error prints as one line,
``DP101 name: what is wrong; what to do``.
"""

from __future__ import annotations

from typing import NamedTuple

from docpipe.document import ErrorItem


class Entry(NamedTuple):
    """A catalogue entry. `fault` is input, user, machine or docpipe."""

    what: str
    todo: str
    fault: str


CATALOGUE: dict[str, Entry] = {
    # 1xx: the input
    "DP101": Entry("not a PDF or an image docpipe knows", "give a PDF, PNG, JPEG, TIFF, WebP, BMP or GIF", "input"),
    "DP102": Entry("the file is empty", "check that it was copied whole", "input"),
    "DP103": Entry("the file is damaged beyond repair", "get it again or repair it (for example with qpdf)", "input"),
    "DP104": Entry("the PDF is encrypted", "give its password with --password", "input"),
    "DP105": Entry("the password is wrong", "give the right one with --password", "user"),
    "DP106": Entry("the document has no pages", "check the file in a viewer", "input"),
    "DP107": Entry("no such file", "check the path", "user"),
    "DP108": Entry("nothing to convert in the folder", "give a folder that holds PDFs or images", "user"),
    "DP109": Entry("the page is too small to hold anything", "nothing can be read from it", "input"),
    "DP110": Entry("the image is too large", "scale it down or cut it into pages", "input"),
    "DP111": Entry("the page could not be opened", "repair the file (for example with qpdf)", "input"),
    "DP112": Entry("the file cannot be read", "check its permissions", "user"),
    # 2xx: pipelines and settings
    "DP201": Entry("no such pipeline", "see `docpipe pipelines`, or give the path of a TOML file", "user"),
    "DP202": Entry("the pipeline file is not valid", "mend the line it names", "user"),
    "DP203": Entry("no such task or kind", "use one of the names it lists", "user"),
    "DP204": Entry("no such page range", "write pages as 3, 3-7 or 1,4-6", "user"),
    "DP205": Entry("no such engine", "use one of the names it lists", "user"),
    "DP206": Entry("no such export format", "use one of the names it lists", "user"),
    "DP207": Entry("nothing that can be asked", "write what it says", "user"),
    "DP208": Entry("the box is not on the page", "give x0 y0 x1 y1 in points, origin top left", "user"),
    "DP209": Entry("the pipeline asks no PaliGemma checkpoint", "leave --model out or take another pipeline", "user"),
    # 3xx: models and engines
    "DP301": Entry("no such checkpoint", "name a folder, a registered model or a hub name", "user"),
    "DP302": Entry("the checkpoint cannot be loaded", "see the message; safetensors only", "user"),
    "DP303": Entry("no checkpoint is named that can read this", "name one with --model", "user"),
    "DP304": Entry("the engine failed on this region", "see the message; other engines were tried", "docpipe"),
    "DP305": Entry("an optional dependency is missing", "install the extra it names", "user"),
    "DP306": Entry("the checkpoint's digest does not match", "fetch it again", "user"),
    "DP307": Entry("the checkpoint cannot do this task", "name one of those it lists", "user"),
    "DP310": Entry("the adapter cannot be loaded", "see the message; plain LoRA in safetensors only", "user"),
    "DP311": Entry("the adapter does not fit its base", "name the base that it was trained on", "user"),
    "DP313": Entry("that way to quantize is not to be had", "use one of the modes it lists, or auto", "user"),
    "DP340": Entry("that memory budget is no size", "write it as 6G or 800M", "user"),
    "DP341": Entry("the checkpoint does not fit the memory budget", "see the message for what it needs", "user"),
    # 4xx: the output
    "DP401": Entry("the output cannot be written", "check the path, its permissions and the free space", "user"),
    "DP402": Entry("the document does not meet its own schema", "report it with the file", "docpipe"),
    "DP403": Entry("not a docpipe output folder", "give a folder that holds document.json", "user"),
    "DP410": Entry("the corrections file is damaged", "mend or remove the line it names", "user"),
    "DP411": Entry("the score could not be written in this form", "use another format; report it", "docpipe"),
    "DP412": Entry("the file is not the one that the document was made from", "give that file", "user"),
    "DP404": Entry("another run is writing into this folder", "wait for it or give another folder", "user"),
    "DP405": Entry("the journal is damaged or of another version", "run `docpipe convert` again", "machine"),
    "DP406": Entry("no run to go on with in this folder", "give the folder that `docpipe convert` wrote into", "user"),
    "DP414": Entry("an export could not be made", "the document is whole; report it with the file", "docpipe"),
    "DP420": Entry("the port cannot be listened on", "name another one with --port", "user"),
    "DP421": Entry("others could use this server", "set DOCPIPE_TOKEN, or listen on 127.0.0.1", "user"),
    "DP422": Entry("the document took longer than the server allows", "ask for fewer pages", "machine"),
    "DP423": Entry("the document has more pages than the server allows", "ask for fewer pages", "user"),
    # 5xx: running
    "DP501": Entry("the page's worker crashed", "the page was left out; report it with the file", "docpipe"),
    "DP502": Entry("the page took longer than its deadline", "raise --page-deadline if it is worth it", "machine"),
    "DP503": Entry("the document made no progress", "raise --deadline if it is worth it", "machine"),
    "DP504": Entry("the page needs more memory than is allowed", "raise --memory if there is more", "machine"),
    "DP505": Entry("the page failed in docpipe itself", "report it with the file", "docpipe"),
    "DP506": Entry("the page used more processor time than is allowed", "raise --page-deadline", "machine"),
    "DP507": Entry("the page's worker was killed from outside", "mostly for want of memory: lower --jobs", "machine"),
    "DP520": Entry("the Ray cluster cannot be used", "check RAY_ADDRESS, or unset it to start one here", "user"),
    "DP521": Entry("the URL cannot be read", "check it, and install the package that it needs", "user"),
    "DP522": Entry("the Ray cluster gave up", "give the same command again: it goes on from there", "machine"),
    "DP523": Entry("a pipeline composed in Python cannot be sent to a cluster", "write it as a TOML file", "user"),
    "DP533": Entry("no such machine", "name one that it lists, or give a TOML or JSON file with --on", "user"),
    "DP534": Entry(
        "it is not known how fast this model is", "give what `docpipe bench --json` prints with --on", "user"
    ),
    "DP535": Entry("there is nothing to plan from", "give a document that can be opened", "input"),
    # 52x, 53x: remote engines
    "DP525": Entry("the server cannot be reached", "see that it runs; other engines were tried", "machine"),
    "DP526": Entry("the server is failing or too busy", "look at its log; lower concurrency", "machine"),
    "DP527": Entry("the server refuses the request", "see the message: key, model name or size", "user"),
    "DP528": Entry("the server's answer makes no sense", "see the message; is it OpenAI-compatible?", "machine"),
    "DP529": Entry("the server took too long", "raise the engine's setting `timeout` or lower concurrency", "machine"),
    "DP530": Entry("the server is left alone after failing again and again", "look at its log", "machine"),
    "DP531": Entry(
        "the server does not read as its checkpoint was trained to", "mend the server, or see `parity`", "user"
    ),
    "DP532": Entry("the remote engine cannot be set up so", "mend the setting it names", "user"),
    # 60x: made-up examples
    "DP601": Entry("no such synthesizer", "use one of the names it lists", "user"),
    "DP602": Entry("the SMILES lists cannot be used", "give a folder of *.smi files with --smiles", "user"),
    "DP603": Entry("the fonts cannot be used", "give a folder of TrueType files with --fonts", "user"),
    "DP604": Entry("not a number of examples", "give one in the range it names", "user"),
    "DP605": Entry("the folder holds other things", "give a new or an empty folder", "user"),
    "DP606": Entry("the synthesizer failed", "report it with the seed", "docpipe"),
    # 62x: training
    "DP620": Entry("the recipe is not valid", "mend what it names", "user"),
    "DP621": Entry("no such recipe", "see `docpipe train --list`, or give the path of a TOML file", "user"),
    "DP622": Entry("the training data are not laid out so", "mend the file, or name another --layout", "input"),
    "DP623": Entry("making a batch ended its process again and again", "find the sample and leave it out", "input"),
    "DP624": Entry("a batch could not be made", "see the message", "input"),
    "DP625": Entry("there is nothing to train on", "give data with --data", "user"),
    "DP626": Entry("this machine cannot train so", "see the message", "machine"),
    "DP627": Entry("the run in this folder cannot go on", "take another --out, or --no-resume to begin anew", "user"),
    "DP628": Entry("a correction cannot be learnt from", "it was left out; see the message", "input"),
    "DP629": Entry("the loss is no longer a number", "lower the learning rate of the recipe and begin anew", "user"),
    "DP630": Entry("nothing to evaluate", "give a folder or a JSONL file with images and their truth", "user"),
    "DP631": Entry("the evaluation data are not of a known form", "mend the line it names", "input"),
    "DP632": Entry("nothing that can be swept", "see the message", "user"),
    "DP633": Entry("the engine cannot read this task", "name another with --engine", "user"),
    "DP634": Entry("the graphs of radiology reports cannot be made", "see the message", "machine"),
    "DP640": Entry("the osra program failed on this region", "see the message; other engines were tried", "machine"),
    "DP641": Entry(
        "the osra program took too long", "raise the engine's setting `deadline` if it is worth it", "machine"
    ),
}


class DocpipeError(Exception):
    """An error with a code of the catalogue.

    subject: the file, page, name or value that it is about. detail: what this case adds to the catalogue's text.
    """

    def __init__(self, code: str, subject: str, detail: str = "") -> None:
        self.code, self.subject, self.detail = code, subject, detail
        super().__init__(code, subject, detail)

    @property
    def entry(self) -> Entry:
        return CATALOGUE[self.code]

    def __str__(self) -> str:
        what = f"{self.entry.what} ({self.detail})" if self.detail else self.entry.what
        line = f"{self.code} {self.subject}: {what}; {self.entry.todo}"
        return " ".join(line.split())

    def item(self, page: int | None = None, region: str | None = None) -> ErrorItem:
        """The error as a record for the document."""
        return ErrorItem(code=self.code, message=str(self)[len(self.code) + 1 :], page=page, region=region)
