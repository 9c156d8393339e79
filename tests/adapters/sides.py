"""A random published model with an adapter, as this program runs it and as PEFT does."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.families.published import FAMILIES, VOCABULARY
from tests.models import model_inputs
from transformer.adapters.lora import attach_lora, lora_updates, merge_updates
from transformer.adapters.parts import linear_parts, select_parts
from transformer.adapters.peft_folder import read_adapter, write_adapter
from transformer.adapters.saved_modules import insert_saved
from transformer.adapters.settings import AdapterSettings
from transformer.loading import FolderContents, build_model, inspect_folder
from transformer.model import Transformer

IDS = torch.randint(3, VOCABULARY - 2, (2, 7), generator=torch.Generator().manual_seed(1))
SOURCE = torch.randint(3, VOCABULARY - 2, (2, 5), generator=torch.Generator().manual_seed(2))


@contextmanager
def quietly() -> Iterator[None]:
    """PEFT warns of what it corrects itself, and of its own dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def peft_model(base: Any, **options: Any) -> Any:
    """A copy of a model with an adapter of random values."""
    with quietly():
        import peft

        task = peft.LoraConfig(**{"r": 3, "lora_alpha": 5, **options})
        adapted = peft.get_peft_model(copy.deepcopy(base), task)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if weight.requires_grad:
                weight.add_(0.3 * torch.randn_like(weight) if "magnitude" not in name else 0.2)
    return adapted.eval()


def save_peft(adapted: Any, folder: Path) -> Path:
    with quietly():
        adapted.save_pretrained(folder)
    return folder


def load_peft(base: Any, folder: Path) -> Any:
    with quietly():
        import peft

        return peft.PeftModel.from_pretrained(copy.deepcopy(base), folder).eval()


def base_of(folder: Path) -> tuple[Transformer, FolderContents]:
    contents = inspect_folder(folder)
    return build_model(contents), contents


def with_adapter(base: Path, adapter: Path) -> Transformer:
    """The base with an adapter merged into it."""
    model, contents = base_of(base)
    read = read_adapter(adapter, model, contents.family)
    merge_updates(model, read.updates)
    insert_saved(model, read.saved)
    return model


@torch.no_grad()
def our_logits(model: Transformer) -> Tensor:
    source = SOURCE if model.config.shape == "encoder-decoder" else None
    return model(model_inputs(IDS, source_BS=source))


@torch.no_grad()
def their_logits(model: Any, family: str) -> Tensor:
    inputs: dict[str, Tensor] = {"input_ids": IDS}
    if "Conditional" in FAMILIES[family].model or family == "marian":
        inputs = {"input_ids": SOURCE, "decoder_input_ids": IDS}
    answer = model(**inputs)
    return answer.logits if hasattr(answer, "logits") else answer.last_hidden_state


def write_random_adapter(base: Path, folder: Path, **changes: Any) -> Path:
    """An adapter of random values for a model, as one that is trained here is written."""
    model, contents = base_of(base)
    settings = AdapterSettings(**{"kind": "lora", "rank": 2, **changes})
    parts = select_parts(linear_parts(model, contents.family), settings.target_modules)
    attach_lora(model, parts, settings, seed=1)
    torch.manual_seed(2)
    updates = [u._replace(b=0.1 * torch.randn_like(u.b)) for u in lora_updates(model)]
    folder.mkdir(parents=True)
    write_adapter(folder, model, contents.family, updates, settings, base=str(base))
    return folder
