"""`docpipe models pull`, `verify` and `info`: from a hub that this test serves, offline, adapters and digests."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from docpipe.models import registry
from docpipe.models.load import digest

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny_10b"
COMMIT = "c" * 40


class Hub(BaseHTTPRequestHandler):
    """As much of the Hugging Face hub as fetching a repository asks for; `someone/closed` is gated."""

    files: dict[str, bytes]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        if "closed" in parts and "resolve" in parts:
            self._send(403, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "gated"}, body)
        elif parts[:2] == ["api", "models"] and parts[3] in ("tiny", "closed"):
            if "tree" in parts:
                sizes = {**{name: len(data) for name, data in self.files.items()}, "pickled.bin": 9}
                tree = [{"type": "file", "path": n, "size": s, "oid": "0" * 40} for n, s in sizes.items()]
                self._send(200, json.dumps(tree).encode(), {"Content-Type": "application/json"}, body)
                return
            names = [{"rfilename": name} for name in (*self.files, "pickled.bin")]
            told = {"id": f"someone/{parts[3]}", "sha": COMMIT, "siblings": names, "private": False}
            self._send(200, json.dumps(told).encode(), {"Content-Type": "application/json"}, body)
        elif parts[:2] == ["someone", "tiny"] and "resolve" in parts and parts[-1] in self.files:
            data = self.files[parts[-1]]
            etag = hashlib.sha256(data).hexdigest()
            self._send(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, body)
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"}, body)

    def _send(self, code: int, data: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(code)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    files = {path.name: path.read_bytes() for path in GOLDEN.iterdir() if path.suffix != ".npz"}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Served", (Hub,), {"files": files}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def docpipe(hub: str, home: Path, *arguments: str) -> tuple[int, str, str]:
    """The command in a process of its own: the hub's client reads its address once, when it is imported."""
    more = {"HF_ENDPOINT": hub, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}  # fmt: skip
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    ran = subprocess.run(
        [sys.executable, "-c", "from docpipe.cli import main; main()", *arguments],
        capture_output=True, text=True, env={**kept, **more}, check=False, timeout=120,
    )  # fmt: skip
    return ran.returncode, ran.stdout, ran.stderr


def test_a_checkpoint_is_pulled_and_then_found_offline(hub: str, tmp_path: Path) -> None:
    code, out, err = docpipe(hub, tmp_path, "models", "pull", "someone/tiny")
    assert (code, out) == (0, f"{digest(GOLDEN)}  tiny\n"), err
    pulled = tmp_path / "hub" / "models--someone--tiny" / "snapshots" / COMMIT
    assert {path.name for path in pulled.iterdir()} == {"config.json", "model.safetensors", "tokenizer.json"}
    nowhere = "http://127.0.0.1:9"
    code, out, err = docpipe(nowhere, tmp_path, "models", "verify", "someone/tiny", "--offline")
    assert (code, out) == (0, f"{digest(GOLDEN)}  tiny\n"), err
    code, _, err = docpipe(nowhere, tmp_path, "models", "verify", "someone/tiny", "--offline", "--digest", "0" * 64)
    assert (code, err[:6]) == (1, "DP306 ")
    code, _, err = docpipe(nowhere, tmp_path, "models", "pull", "someone/other", "--offline")
    assert (code, err.startswith("DP301 someone/other: ")) == (1, True)
    assert "not in the local cache" in err


@pytest.mark.parametrize(("name", "code", "why"), [
    ("someone/absent", "DP301", "no such repository"), ("someone/closed", "DP302", "accept its licence"),
])  # fmt: skip
def test_what_the_hub_does_not_give_is_one_line(hub: str, tmp_path: Path, name: str, code: str, why: str) -> None:
    status, _, err = docpipe(hub, tmp_path, "models", "pull", name)
    assert status == 1
    assert err.startswith(f"{code} {name}: ")
    assert why in err
    assert "Traceback" not in err


def test_a_pinned_digest_is_held(docpipe_cli, tmp_path: Path) -> None:
    model = tmp_path / "tiny"
    shutil.copytree(GOLDEN, model)
    (model / "docpipe.json").write_text(json.dumps({"digest": digest(model)}))
    assert docpipe_cli("models", "verify", model).code == 0
    assert json.loads(docpipe_cli("models", "info", model, "--json").out)["pinned"] is True
    (model / "docpipe.json").write_text(json.dumps({"digest": "0" * 64}))
    for command in ("verify", "pull", "info"):
        ran = docpipe_cli("models", command, model)
        assert (ran.code, ran.err[:6]) == (1, "DP306 "), command
    asked = docpipe_cli("ask", Path(__file__).parents[2] / "samples" / "palette.png", "What?", "--model", model)
    assert "DP306" in asked.err


def test_what_ships_is_pinned_to_its_digest() -> None:
    pinned = {name: c for name, c in registry.shipped().items() if c.pinned}
    assert "nano-molecule" in pinned
    for name, checkpoint in pinned.items():
        assert checkpoint.folder is not None
        assert digest(checkpoint.folder) == checkpoint.pinned, f"{name}: put its new digest into docpipe.json"


def test_adapters_are_shown_and_verified(docpipe_cli, tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "base" / "tables"
    shutil.copytree(GOLDEN, base)
    adapter.mkdir()
    text = json.loads((GOLDEN / "config.json").read_text())["text_config"]
    key = "base_model.model.model.language_model.layers.0.self_attn.q_proj"
    rows = text["num_attention_heads"] * text["head_dim"]
    pair = {f"{key}.lora_A.weight": torch.ones(2, text["hidden_size"]), f"{key}.lora_B.weight": torch.ones(rows, 2)}
    save_file(pair, adapter / "adapter_model.safetensors")
    said = {"peft_type": "LORA", "r": 2, "lora_alpha": 8, "target_modules": ["q_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(said))
    assert json.loads(docpipe_cli("models", "info", base, "--json").out)["adapters"] == ["tables"]
    told = json.loads(docpipe_cli("models", "info", f"{base}+{adapter}", "--json").out)
    assert (told["base"], told["adapter"], told["rank"], told["alpha"]) == ("base", "tables", 2, 8)
    assert (told["targets"], told["adapted weights"]) == (["q_proj"], 1)
    assert told["digest"] != digest(base)
    ran = docpipe_cli("models", "verify", f"{base}+{adapter}")
    assert (ran.code, ran.out) == (0, f"{told['digest']}  base+tables\n")
    save_file({name: value[:1].clone() for name, value in pair.items()}, adapter / "adapter_model.safetensors")
    assert docpipe_cli("models", "verify", f"{base}+{adapter}").err[:6] in ("DP310 ", "DP311 ")


def test_the_memory_of_a_checkpoint_is_told(docpipe_cli) -> None:
    told = json.loads(docpipe_cli("models", "info", "paligemma2-3b-mix-448", "--json").out)
    assert any(text.endswith("GB in bfloat16") and 6 < float(text.split()[0]) < 7 for text in told["memory"])
