"""Chat templates of model folders: conversations as the text that a model was trained on."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from checkpoints import CheckpointError, read_json, refuse_external_links
from tokenizer import Tokenizer

from ..errors import ConfigError
from ..limited_process import LimitedProcessError, printable_line, run_limited

CHAT_TEMPLATE = "chat_template.jinja"
CHAT_FILES = (CHAT_TEMPLATE, "chat_template.json")  # tokenizer_config.json is the tokenizer's
_CONFIG, _NAMES_MAP = "tokenizer_config.json", "special_tokens_map.json"
_NAMES = {"bos_token": "begin", "eos_token": "end", "unk_token": "unknown", "pad_token": "pad"}

MAX_TEMPLATE = 1 << 16  # characters; the longest of published ones have 20,000

# Limits of the characters that rendering may write: far more than a conversation needs, for a
# template may repeat a message, but no more than a tokenizer encodes in a short time.
_MAX_TEXT, _MAX_TEXT_PER_CHARACTER = 4_000_000, 20


class Message(NamedTuple):
    """A message of a conversation."""

    role: str  # system, user, assistant, or another that the template knows
    content: str


class ChatTemplate:
    """A model's chat template: an untrusted program, which a limited process runs."""

    def __init__(self, folder: Path, text: str, names: Mapping[str, str]) -> None:
        """Check a template; `names` are those of special tokens. Raises CheckpointError."""
        self.folder, self.text, self._names = folder, text, dict(names)
        if len(text) > MAX_TEMPLATE:
            raise self._error(f"has {len(text):,} characters; at most {MAX_TEMPLATE:,}")
        try:
            run_limited("transformer.chat.sandbox:check_template", text)
        except LimitedProcessError as error:
            raise self._error(f"cannot be read: {error}") from None

    def render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        parts: Collection[int] = (),
    ) -> str:
        """Return a conversation as text, up to the beginning of the model's next answer.

        The messages of the indices `parts` have a list of parts as their content, as in templates
        of models that also see pictures. Raises ConfigError if the template refuses the
        conversation, CheckpointError if it fails or exceeds a limit.
        """
        characters = sum(len(message.content) for message in messages)
        variables: dict[str, Any] = {
            "messages": [
                _as_parts(message) if index in parts else message._asdict()
                for index, message in enumerate(messages)
            ],
            "add_generation_prompt": add_generation_prompt,
            "tools": None,
            "documents": None,
            **self._names,
        }
        try:
            accepted, text = run_limited(
                "transformer.chat.sandbox:render_template",
                self.text,
                variables,
                _MAX_TEXT + _MAX_TEXT_PER_CHARACTER * characters,
            )
        except LimitedProcessError as error:
            raise self._error(f"cannot be used: {error}") from None
        if not accepted:
            reason = printable_line(text) or "it gives no reason"
            raise ConfigError(
                f"{self.folder}: its chat template refuses this conversation: {reason}"
            )
        return str(text)

    def _error(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.folder}: its chat template {problem}")


def _as_parts(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": [{"type": "text", "text": message.content}]}


def read_chat_template(
    folder: Path, tokenizer: Tokenizer, text: str | None = None
) -> ChatTemplate | None:
    """Return a model folder's chat template, or None if it has none; `text` takes its place.

    Names of special tokens are the folder's, else those of the tokenizer's roles. Raises
    CheckpointError.
    """
    text = chat_template_text(folder) if text is None else text
    return None if text is None else ChatTemplate(folder, text, _names(folder, tokenizer))


def chat_template_text(folder: Path) -> str | None:
    """Return the text of a folder's chat template, unchecked. Raises CheckpointError."""
    refuse_external_links(folder, [*CHAT_FILES, _CONFIG, _NAMES_MAP])
    path = folder / CHAT_TEMPLATE
    if _exists(path):
        return _read_text(path)
    for name in (_CONFIG, CHAT_FILES[1]):
        value = read_json(folder / name).get("chat_template") if _exists(folder / name) else None
        if value is not None:
            return _default(value, folder / name)
    return None


def write_chat_template(folder: Path, text: str) -> None:
    """Write a template into the file that this program and transformers look up first."""
    (folder / CHAT_TEMPLATE).write_text(text, encoding="utf-8", newline="")


def _exists(path: Path) -> bool:
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


def _default(value: Any, path: Path) -> str:
    """Return the template called default if there are several."""
    if isinstance(value, list):
        named = [entry for entry in value if isinstance(entry, dict)]
        value = next((e.get("template") for e in named if e.get("name") == "default"), None)
        if value is None:
            raise CheckpointError(f"{path}: none of its chat templates is called default")
    if not isinstance(value, str):
        raise CheckpointError(f"{path}: its chat template is no text")
    return value


def _names(folder: Path, tokenizer: Tokenizer) -> dict[str, str]:
    """Return special tokens by their names in templates."""
    files = [folder / name for name in (_NAMES_MAP, _CONFIG) if _exists(folder / name)]
    tokens: dict[str, Any] = {}
    for path in files:
        tokens.update(read_json(path))
    if not files:
        ids = {name: tokenizer.role(role) for name, role in _NAMES.items()}
        tokens = {name: None if i is None else tokenizer.token(i) for name, i in ids.items()}
    values = {name: tokens.get(name) for name in _NAMES}
    spelled = {n: v.get("content") if isinstance(v, dict) else v for n, v in values.items()}
    return {name: value for name, value in spelled.items() if isinstance(value, str)}
