"""Tokenizers with a special token more than the embedding has rows, as bart-large-cnn's."""

from collections import Counter
from pathlib import Path

import pytest
from tokenizers import AddedToken

from checkpoints import CheckpointError
from tests.families.published import VOCABULARY, edit, make
from tokenizer import Tokenizer, TokenizerError
from transformer.errors import ConfigError
from transformer.export.convert import convert_model
from transformer.loading import LoadedModel, load_model
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session


@pytest.fixture(params=[True, False], ids=["special", "added"])
def folder(request, tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A model whose tokenizer has one token more than its embedding has rows."""
    make("bart", 0, tmp_path / "model")
    larger = Tokenizer.from_json(tokenizer.to_json())
    start = larger.vocab_size
    names = [AddedToken(f"<x{i}>", special=True) for i in range(start, VOCABULARY)]
    larger.backend.add_special_tokens(names)
    larger.backend.add_tokens([AddedToken("<extra>", special=request.param)])
    assert larger.token_id("<extra>") == VOCABULARY
    larger.save(tmp_path / "model" / "tokenizer.json")
    return tmp_path / "model"


def texts(loaded: LoadedModel, line: str, **asked) -> list[str]:
    arguments = TranslateArguments(max_tokens=6, **asked)
    (answer,) = Session([loaded]).translate(IterableSource([line]), arguments, Counter())
    return [output.text for output in answer.outputs]


def test_the_model_runs_and_the_token_is_out_of_use(folder: Path) -> None:
    loaded = load_model(folder, device="cpu")
    tokenizer = loaded.tokenizer
    assert len(texts(loaded, "the fox")) == 1
    assert VOCABULARY not in tokenizer.encode("a <extra> b")  # ordinary text, as of all such names
    assert VOCABULARY not in tokenizer.encode_batch(["<extra>"])[0]
    assert tokenizer.token_id("<extra>") is None and "<extra>" not in tokenizer.special_tokens()
    with pytest.raises(TokenizerError, match=r"the text has the token '<extra>', which .* lacks"):
        tokenizer.encode_with_specials("a <extra> b")
    with pytest.raises(ConfigError, match="the model has no token '<extra>'"):
        texts(loaded, "the fox", suppress=["<extra>"])


def test_it_stays_out_of_use_in_what_is_made_of_the_model(folder: Path) -> None:
    convert_model(folder, folder.parent / "ours", to="transduce")
    assert texts(load_model(folder.parent / "ours", device="cpu"), "the fox") == texts(
        load_model(folder, device="cpu"), "the fox"
    )


def test_tokens_that_texts_need_are_missed(folder: Path) -> None:
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    with pytest.raises(TokenizerError, match="they do not belong together"):
        tokenizer.limit_ids(20)  # letters would be missing
    with pytest.raises(TokenizerError, match="38 tokens, the model's vocabulary 2; they do not"):
        tokenizer.limit_ids(2)
    make("gpt2", 0, folder.parent / "small")
    (folder.parent / "small" / "tokenizer.json").write_text(
        tokenizer.to_json(special_affixes=([VOCABULARY], []))
    )
    edit(folder.parent / "small" / "generation_config.json", eos_token_id=2)
    with pytest.raises(CheckpointError, match="they do not belong together"):
        load_model(folder.parent / "small", device="cpu")
