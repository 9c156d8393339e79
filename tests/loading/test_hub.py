"""Models by name: from a hub that runs here, and from the cache alone."""

import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.families.published import make
from tokenizer import Tokenizer

pytestmark = pytest.mark.integration

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "owner/tiny-gpt2"


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's interface as fetching a model takes."""

    def __init__(self, folder: Path, asked: list[str], *rest: object) -> None:
        self.folder, self.asked = folder, asked
        super().__init__(*rest)

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def do_GET(self, *, body: bool = True) -> None:
        path = self.path.partition("?")[0]
        files = sorted(p for p in self.folder.rglob("*") if p.is_file())
        if path.startswith(f"/api/models/{NAME}/tree/"):
            entries = [
                {
                    "type": "file",
                    "path": file.relative_to(self.folder).as_posix(),
                    "size": file.stat().st_size,
                    "oid": digest(file),
                }
                for file in files
            ]
            self.answer(json.dumps(entries).encode(), body=body)
        elif path.startswith(f"/api/models/{NAME}"):
            names = [{"rfilename": f.relative_to(self.folder).as_posix()} for f in files]
            info = {"id": NAME, "sha": COMMIT, "siblings": names, "private": False, "tags": []}
            self.answer(json.dumps(info).encode(), body=body)
        elif path.startswith(f"/{NAME}/resolve/{COMMIT}/"):
            file = self.folder / path.rpartition(f"{COMMIT}/")[2]
            if body:
                self.asked.append(file.name)
            self.answer(file.read_bytes(), body=body, ETag=f'"{digest(file)}"')
        else:
            self.send_error(404)

    def answer(self, content: bytes, *, body: bool, **headers: str) -> None:
        self.send_response(200)
        for name, value in {"X-Repo-Commit": COMMIT, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)


def digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@pytest.fixture
def hub(tmp_path: Path, tokenizer: Tokenizer):
    """A server with one model; its address, and what was fetched from it."""
    folder, asked = tmp_path / "served", []
    make("gpt2", 0, folder)
    tokenizer.save(folder / "tokenizer.json")
    (folder / "modeling.py").write_text("raise SystemExit('code was run')")
    (folder / "pytorch_model.bin").write_bytes(b"not needed")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"not needed")
    handler = functools.partial(Hub, folder, asked)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def show(name: str, cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.app", "checkpoint", "show", name]
    variables = {**os.environ, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1", **environment}
    return subprocess.run(
        command, check=False, env=variables, capture_output=True, text=True, timeout=60
    )


def test_only_what_is_needed_is_fetched_and_then_kept(hub, tmp_path: Path) -> None:
    address, asked = hub
    found = show(NAME, tmp_path / "cache", HF_ENDPOINT=address)
    assert found.returncode == 0, found.stderr
    assert "family        gpt2" in found.stdout
    wanted = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    assert set(asked) == wanted
    offline = show(NAME, tmp_path / "cache", HF_ENDPOINT=address, HF_HUB_OFFLINE="1")
    assert offline.stdout == found.stdout
    assert set(asked) == wanted


def test_a_name_that_there_is_not_is_one_line(hub, tmp_path: Path) -> None:
    address, _ = hub
    for options in ({"HF_ENDPOINT": address}, {"HF_HUB_OFFLINE": "1"}):
        found = show("owner/nothing", tmp_path / "cache", **options)
        assert found.returncode == 3
        assert found.stderr.startswith("transduce: there is no folder owner/nothing, and no such")
        assert found.stderr.count("\n") == 1, found.stderr
