"""Models by name: from a hub that runs here, and from the cache alone."""

import contextlib
import errno
import functools
import hashlib
import http.server
import json
import os
import socket
import threading
import time
import types
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import errors, get_session

from checkpoints import CheckpointError
from cli.errors import MAX_MESSAGE_CHARACTERS
from tests.families.published import make
from tests.pipelines.test_sentence_models import in_the_old_layout, sentence_model
from tokenizer import Tokenizer
from transformer.loading.hub import fetch_model

pytestmark = pytest.mark.integration

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "owner/tiny-gpt2"
Ended = namedtuple("Ended", "code out err")


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


@contextlib.contextmanager
def serve(folder: Path, asked: list[str]) -> Iterator[str]:
    """The address of a server with one model."""
    handler = functools.partial(Hub, folder, asked)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


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
    with serve(folder, asked) as address:
        yield address, asked


@pytest.fixture
def run(fork_server, tmp_path: Path):
    """Run the program with a cache and variables of its own, which the library reads in imports."""

    def start(*command: str, **environment: str) -> Ended:
        own = {"HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1", **environment}
        with fork_server.start(command, environment={**os.environ, **own}) as program:
            out, err = program.communicate(b"fox\n", timeout=60)
            return Ended(program.returncode, out.decode(), err.decode())

    return start


def test_only_what_is_needed_is_fetched_and_then_kept(hub, run) -> None:
    address, asked = hub
    found = run("checkpoint", "show", NAME, HF_ENDPOINT=address)
    assert found.code == 0, found.err
    assert "family        gpt2" in found.out
    wanted = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    assert set(asked) == wanted
    offline = run("checkpoint", "show", NAME, HF_ENDPOINT=address, HF_HUB_OFFLINE="1")
    assert offline.out == found.out
    assert set(asked) == wanted


@pytest.mark.parametrize("layout", [lambda folder: folder, in_the_old_layout])
def test_a_sentence_model_is_fetched_with_its_modules(
    layout: Callable[[Path], Path], run, tmp_path: Path
) -> None:
    folder, asked = layout(sentence_model(tmp_path / "model", dense="x.Tanh")), []
    with serve(folder, asked) as address:
        found = run("embed", "-m", NAME, HF_ENDPOINT=address)
    assert found.code == 0, found.err
    assert len(json.loads(found.out)) == 7  # of its Dense module
    assert "README.md" not in asked


def test_a_name_that_there_is_not_is_one_line(hub, run, tmp_path: Path) -> None:
    address, _ = hub
    for variable, value, told in (
        ("HF_ENDPOINT", address, f"{address} has no such model, or not for you: a private one nee"),
        (
            "HF_HUB_OFFLINE",
            "1",
            f"{tmp_path}/cache/hub holds no such model whole; HF_HUB_OFFLINE is set",
        ),
    ):
        found = run("checkpoint", "show", "owner/nothing", **{variable: value})
        assert found.code == 3
        assert found.err.startswith(f"transduce: there is no folder owner/nothing, and {told}")
        assert found.err.count("\n") == 1, found.err
        assert "…" not in found.err


class _Errors:
    """The errors of fetching by name, as the library makes them."""

    @staticmethod
    def of(kind: type[Exception], status: int | None = None) -> Exception:
        error = kind.__new__(kind)
        if status is not None:
            error.response = types.SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
        return error

    @classmethod
    def offline(cls, cause: Exception) -> Exception:
        error = errors.LocalEntryNotFoundError("Got: something of many words\n in lines")
        error.__cause__ = cause
        return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            _Errors.of(errors.GatedRepoError, 403),
            "asks for consent: give it at https://hub/me/x, a",
        ),
        (
            _Errors.of(errors.RepositoryNotFoundError, 401),
            "https://hub has no such model, or not f",
        ),
        (_Errors.of(errors.RevisionNotFoundError, 404), "the hub's model has no revision v2"),
        (
            _Errors.offline(ConnectionError()),
            "https://hub cannot be reached, while /cache holds no ",
        ),
        (
            _Errors.offline(_Errors.of(OSError, 503)),
            "https://hub answers with the error 503, while",
        ),
        (_Errors.of(OSError, 403), "https://hub refuses you its files (403): ask for access at"),
        (OSError(errno.ENOSPC, "No space left"), "/cache cannot keep it: No space left (HF_HOME"),
        (PermissionError(errno.EACCES, "Denied", "/c/x"), "/c/x cannot keep it: Denied (HF_HOME"),
        (OSError(errno.ECONNREFUSED, "refused"), "https://hub cannot be reached, while /cache"),
        (TimeoutError(), "https://hub cannot be reached, while /cache"),
        (ValueError("w " * 900), "it could not be fetched from https://hub: w w"),
    ],
)
def test_why_nothing_was_fetched_is_one_whole_line(error, told, monkeypatch, tmp_path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "/cache")
    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    (tmp_path / "my" / "x").mkdir(parents=True)
    (tmp_path / "my" / "x" / "config.json").touch()
    with pytest.raises(CheckpointError) as raised:
        fetch_model("me/x@v2")
    text = str(raised.value)
    assert text.startswith("there is no folder me/x, and ")
    assert told in text
    assert len(text) < MAX_MESSAGE_CHARACTERS
    assert "\n" not in text


def test_a_refused_token_is_told_and_the_librarys_client_is_left_as_it_was(monkeypatch) -> None:
    client = get_session()
    before, during = client.event_hooks, []

    def fail(*_: object, **__: object) -> None:
        during.append(client.event_hooks)
        raise _Errors.of(errors.RepositoryNotFoundError, 401)

    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_old")
    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(CheckpointError, match="refuses your token: set HF_TOKEN"):
        fetch_model("me/x")
    assert during != [before]
    assert client.event_hooks == before


def test_a_hub_that_does_not_answer_is_not_waited_for(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:  # which accepts, and is silent
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
        started = time.monotonic()
        with pytest.raises(CheckpointError, match=f"{address} cannot be reached"):
            fetch_model("owner/x")
        assert time.monotonic() - started < 10
