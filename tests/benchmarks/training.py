"""Training speed: target tokens a second of one step, forward, backward and update.

python -m tests.benchmarks.training
"""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from tests.benchmarks.measuring import rates, show
from tests.benchmarks.peers import marian
from tests.models import model_inputs
from transformer import TransformerConfig, preset_config
from transformer.batch_loss import batch_loss
from transformer.data import Batch
from transformer.initialization import initialize
from transformer.model import Transformer

ROWS, LENGTH, VOCABULARY = 96, 24, 8000
SIZES = {
    "4+4 layers, 128 wide": {
        "preset": "translate-tiny", "encoder_layers": 4, "decoder_layers": 4, "dropout": 0.3,
    },
    "3+3 layers, 256 wide": {"preset": "translate-small", "dropout": 0.1},
}  # fmt: skip


def batch() -> Batch:
    """Random ids; every row full."""
    ids_BT = torch.randint(4, VOCABULARY, (ROWS, LENGTH + 1))
    return Batch(
        inputs=model_inputs(ids_BT[:, :-1], source_BS=torch.randint(4, VOCABULARY, (ROWS, LENGTH))),
        targets=ids_BT[:, 1:],
        predicted_N=None,
        num_targets=ROWS * LENGTH,
        rows=torch.arange(ROWS).numpy(),
    )


def ours(config: TransformerConfig, precision: str) -> Callable[[], int]:
    """A step of this project."""
    model = Transformer(config)
    initialize(model, seed=1)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    data = batch()

    def step() -> int:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            loss, _ = batch_loss(model, data, smoothing=0.1)
        (loss / data.num_targets).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return data.num_targets

    return step


def theirs(config: TransformerConfig, precision: str) -> Callable[[], int]:
    """A plain loop around transformers' model of the same size."""
    model = marian(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    data = batch()
    source = data.inputs.source
    assert source is not None
    read = {"input_ids": source.ids_BT, "decoder_input_ids": data.inputs.ids_BT}

    def step() -> int:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            logits = model(**read).logits
            loss = F.cross_entropy(
                logits.flatten(0, 1).float(), data.targets.flatten(), label_smoothing=0.1
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return data.num_targets

    return step


def main() -> None:
    """Print the table."""
    columns = {}
    for title, size in SIZES.items():
        fields = dict(size)
        config = preset_config(str(fields.pop("preset")), vocab_size=VOCABULARY, **fields)
        columns[title] = rates(
            {
                f"{name} {precision}": make(config, precision)
                for precision in ("float32", "bfloat16")
                for name, make in (("transduce", ours), ("transformers", theirs))
            }
        )
    show("training, target tokens/s", columns, peer="transformers float32")


if __name__ == "__main__":
    main()
