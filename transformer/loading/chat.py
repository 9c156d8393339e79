"""Conversations as the text that a model was taught to read: a folder's chat template."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from checkpoints import CheckpointError, read_json, refuse_links_out
from tokenizer import Tokenizer

from ..errors import ConfigError

CHAT_TEMPLATE = "chat_template.jinja"
CHAT_FILES = (CHAT_TEMPLATE, "chat_template.json")  # tokenizer_config.json is the tokenizer's
_CONFIG, _NAMES_MAP = "tokenizer_config.json", "special_tokens_map.json"
_NAMES = {"bos_token": "begin", "eos_token": "end", "unk_token": "unknown", "pad_token": "pad"}

MAX_TEMPLATE = 1 << 16  # characters; the longest of published ones have 20,000

# What rendering may use up, in units of some byte: see templates/meter.py. Templates look at a text
# 10 to 20 times.
_BUDGET, _BUDGET_A_CHARACTER, _BUDGET_A_MESSAGE = 8_000_000, 40, 4096


class Message(NamedTuple):
    """What one side of a conversation said."""

    role: str  # system, user, assistant, or what else the template knows
    content: str


class ChatTemplate:
    """How a model's conversations are written. Made from a stranger's text, it can do nothing but
    write, and only so much."""

    def __init__(self, folder: Path, text: str, names: Mapping[str, str]) -> None:
        """Raises CheckpointError for a text that is no template; `names` are those of tokens."""
        from .templates import Sandbox  # noqa: PLC0415  (jinja2)

        self.folder, self.text, self._names = folder, text, dict(names)
        if len(text) > MAX_TEMPLATE:
            raise self._error(f"has {len(text):,} characters; at most {MAX_TEMPLATE:,}")
        try:
            self._compiled = Sandbox().prepare(text)
        except Exception as error:  # jinja's, and those of Python's compiler
            raise self._error(f"cannot be read: {_reason(error)}") from None

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        """A conversation as text, up to where the model's next answer begins.

        Raises ConfigError where the template refuses the conversation, CheckpointError where it
        does what no template may.
        """
        from .templates import METER, Meter, RaisedError  # noqa: PLC0415  (jinja2)

        characters = sum(len(message.content) for message in messages)
        budget = _BUDGET + _BUDGET_A_CHARACTER * characters + _BUDGET_A_MESSAGE * len(messages)
        given: dict[str, Any] = {
            METER: Meter(budget),
            "messages": [message._asdict() for message in messages],
            "add_generation_prompt": add_generation_prompt,
            "tools": None,
            "documents": None,
            **self._names,
        }
        try:
            text = self._compiled.render(given)
            text.encode()
        except RaisedError as error:
            raise ConfigError(
                f"{self.folder}: its chat template refuses this conversation: {_reason(error)}"
            ) from None
        except Exception as error:
            raise self._error(f"cannot be used: {_reason(error)}") from None
        return text

    def _error(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.folder}: its chat template {what}")


def _reason(error: Exception) -> str:
    """What went wrong, in a line that can be printed."""
    text = "".join(each if each.isprintable() else " " for each in str(error)[:1000])
    return " ".join(text.split())[:200] or type(error).__name__


def read_chat_template(folder: Path, tokenizer: Tokenizer) -> ChatTemplate | None:
    """A model folder's chat template; None where it has none.

    The names of its special tokens are the folder's, else those of the tokenizer's roles. Raises
    CheckpointError.
    """
    text = chat_template_text(folder)
    return None if text is None else ChatTemplate(folder, text, _names(folder, tokenizer))


def chat_template_text(folder: Path) -> str | None:
    """The text of a folder's chat template, unread. Raises CheckpointError."""
    refuse_links_out(folder, [*CHAT_FILES, _CONFIG, _NAMES_MAP])
    path = folder / CHAT_TEMPLATE
    if _is_there(path):
        return _read_text(path)
    for name in (_CONFIG, CHAT_FILES[1]):
        found = read_json(folder / name).get("chat_template") if _is_there(folder / name) else None
        if found is not None:
            return _default(found, folder / name)
    return None


def write_chat_template(folder: Path, text: str) -> None:
    """Put a template into a folder, where both this program and transformers look first."""
    (folder / CHAT_TEMPLATE).write_text(text, encoding="utf-8", newline="")


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _read_text(path: Path) -> str:
    try:
        if not path.is_file():
            raise CheckpointError(f"{path} is no file")
        if path.stat().st_size > 4 * MAX_TEMPLATE:
            raise CheckpointError(f"{path} has more than {MAX_TEMPLATE:,} characters")
        return path.read_bytes().decode()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from None


def _default(found: Any, path: Path) -> str:
    """The template of that name, where there are several."""
    if isinstance(found, list):
        named = [entry for entry in found if isinstance(entry, dict)]
        found = next((e.get("template") for e in named if e.get("name") == "default"), None)
        if found is None:
            raise CheckpointError(f"{path}: none of its chat templates is called default")
    if not isinstance(found, str):
        raise CheckpointError(f"{path}: its chat template is no text")
    return found


def _names(folder: Path, tokenizer: Tokenizer) -> dict[str, str]:
    """Special tokens by the names that templates call them."""
    files = [folder / name for name in (_NAMES_MAP, _CONFIG) if _is_there(folder / name)]
    given: dict[str, Any] = {}
    for path in files:
        given.update(read_json(path))
    if not files:
        ids = {name: tokenizer.role(role) for name, role in _NAMES.items()}
        given = {name: None if i is None else tokenizer.token(i) for name, i in ids.items()}
    values = {name: given.get(name) for name in _NAMES}
    spelled = {n: v.get("content") if isinstance(v, dict) else v for n, v in values.items()}
    return {name: value for name, value in spelled.items() if isinstance(value, str)}
