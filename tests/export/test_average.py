"""The mean of models of any format: it loads, and has all files of the first."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from msgspec.structs import replace

from checkpoints import CheckpointError
from tests.families.random_folders import draw, write_folder
from tests.loading.owned import own, small
from tokenizer import Tokenizer
from transformer.export import average_models, convert_model
from transformer.loading import load_model


def published(family: str, folder: Path, *, stored: str = "safetensors", seed: int = 0) -> Path:
    """A random published folder; the seed decides its weights alone."""
    drawn = draw(family, 0)
    settings = {"num_beams": 3, "max_length": 19}
    write_folder(drawn._replace(seed=seed, stored=stored, settings=settings), folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder


@pytest.mark.parametrize(
    ("family", "stored"), [("gpt2", "safetensors"), ("bert", "shards"), ("marian", "pickle")]
)
def test_published_models_have_a_mean_of_their_format(
    family: str, stored: str, tmp_path: Path
) -> None:
    folders = [published(family, tmp_path / f"{n}", stored=stored, seed=n) for n in (1, 2)]
    average_models(folders, tmp_path / "mean")
    one, two, mean = (load_model(f, device="cpu") for f in (*folders, tmp_path / "mean"))
    for name, tensor in mean.model.state_dict().items():
        both = one.model.state_dict()[name].double() + two.model.state_dict()[name].double()
        assert torch.equal(tensor, (both / 2).float()), name
    assert (mean.config, mean.generation) == (one.config, one.generation)
    assert mean.tokenizer.encode("The quick fox") == one.tokenizer.encode("The quick fox")
    weights = ("model", "pytorch_model", "manifest")
    names = {path.name for path in folders[0].iterdir() if not path.name.startswith(weights)}
    for name in names:
        assert (tmp_path / "mean" / name).read_bytes() == (folders[0] / name).read_bytes()
    transformers.AutoModel.from_pretrained(tmp_path / "mean")


def test_a_mean_of_ours_keeps_settings_templates_and_origins(tmp_path: Path) -> None:
    for number in (1, 2):
        theirs = published("marian", tmp_path / f"theirs-{number}", seed=number)
        convert_model(theirs, tmp_path / f"ours-{number}", to="transduce")
    average_models([tmp_path / "ours-1", tmp_path / "ours-2"], tmp_path / "mean")
    convert_model(tmp_path / "mean", tmp_path / "again", to="marian")
    assert json.loads((tmp_path / "mean" / "generation_config.json").read_text())["num_beams"] == 3
    for name in ("source.spm", "target.spm", "vocab.json"):
        assert (tmp_path / "again" / name).read_bytes() == (theirs / name).read_bytes()
    assert "ours-1, ours-2" in (tmp_path / "mean" / "README.md").read_text()


def test_a_mix_of_formats_is_refused(tmp_path: Path) -> None:
    theirs = published("gpt2", tmp_path / "theirs")
    convert_model(theirs, tmp_path / "ours", to="transduce")
    with pytest.raises(CheckpointError, match=r"is a transduce model, .* a gpt2 model: no mean"):
        average_models([theirs, tmp_path / "ours"], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_other_tokenizers_are_refused_and_other_settings_named(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    own(tmp_path / "one", small("write-tiny"), tokenizer)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two" / "manifest.json").unlink()
    path, notices = tmp_path / "two" / "generation_config.json", []  # type: ignore[var-annotated]
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_beams": 7}))
    average_models([tmp_path / "one", tmp_path / "two"], tmp_path / "mean", notices=notices)
    assert notices == ["settings of decoding are those of one; others: two"]
    (tmp_path / "two" / "tokenizer_config.json").write_text(
        '{"clean_up_tokenization_spaces": true}'
    )
    with pytest.raises(CheckpointError, match="is another model than"):
        average_models([tmp_path / "one", tmp_path / "two"], tmp_path / "mean")


def test_the_mean_of_a_run_is_of_its_checkpoints_alone(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    """A user's own models beside them, such as a mean of before, are not the run's."""
    saved = tmp_path / "run" / "checkpoints"
    for name in ("step-00000002", "step-00000004", "step-mean", "step-00000004.bak", "step-9"):
        own(saved / name, small("write-tiny"), tokenizer)
    steps = [saved / "step-00000002", saved / "step-00000004"]
    assert average_models([tmp_path / "run"], tmp_path / "mean") == steps
    assert average_models([tmp_path / "run"], tmp_path / "mean", last=1) == steps[1:]
    assert average_models([saved / "step-mean"], tmp_path / "mean") == [saved / "step-mean"]


def test_random_features_are_those_of_the_last_model(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """A mean of draws would be none: its directions would be too short."""
    config = replace(small("write-tiny"), attention="performer", random_features=8)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder, seed in zip(folders, (1, 2), strict=True):
        own(folder, config, tokenizer, seed=seed)
    average_models(folders, tmp_path / "mean")
    models = (load_model(folder, device="cpu") for folder in (*folders, tmp_path / "mean"))
    one, two, mean = (loaded.model.state_dict() for loaded in models)
    for name, tensor in mean.items():
        drawn = name.endswith("features.weight")
        assert torch.equal(tensor, two[name] if drawn else (one[name] + two[name]) / 2), name
        assert not drawn or not torch.equal(one[name], two[name])
