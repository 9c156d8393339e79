"""What `tests.benchmarks.gpu` measures: each part in a process of its own, which it may outlast."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tests.benchmarks.decoding import beams, built
from tests.benchmarks.plain_gpt import PlainGpt, plain_step
from transformer import TransformerConfig, preset_config
from transformer.data import TokenStore, TokenWriter, WindowData
from transformer.decoding import ModelStepper, Request, decode_all
from transformer.evaluation import likelihood
from transformer.initialization import initialize
from transformer.model import Transformer
from transformer.parameters import count_parameters
from transformer.training.recipe import Recipe, TrainingRecipe
from transformer.training.trainer import StepReport, Trainer


class Row(NamedTuple):
    """One line of the table."""

    task: str
    contestant: str
    value: float
    unit: str
    flops: float = 0.0  # of one unit, where it is to be compared with the peak


@dataclass(frozen=True)
class Sizes:
    """How much is done; the defaults are for a GPU."""

    device: torch.device
    text: Path | None = None
    product: int = 8192
    vocabulary: int = 50_304  # GPT-2's, padded to a multiple of 128
    context: int = 1024
    rows: int = 32  # a micro-batch: about 45 GiB, the plain loop's logits the most of it
    layers: int = 12
    repeats: int = 5
    steps: int = 5  # in a repeat
    batches: tuple[int, ...] = (1, 8, 64)
    written: int = 128
    base_layers: int = 6
    shakespeare_steps: int = 2000
    shakespeare_seconds: float = 60.0


def quick(device: torch.device, text: Path | None) -> Sizes:
    """Sizes at which every part runs in seconds anywhere."""
    return Sizes(
        device, text, product=256, vocabulary=512, context=32, rows=2, layers=2, repeats=2,
        steps=1, batches=(1, 2), written=8, base_layers=1, shakespeare_steps=6,
        shakespeare_seconds=10.0,
    )  # fmt: skip


def median_rate(sizes: Sizes, work: Callable[[], float], *, warm: int = 1) -> float:
    """What `work` returns for a second, the median of several repeats after some to warm up."""

    def wait() -> None:
        if sizes.device.type == "cuda":
            torch.cuda.synchronize()

    rates = []
    for number in range(warm + sizes.repeats):
        wait()
        started = time.perf_counter()
        done = work()
        wait()
        if number >= warm:
            rates.append(done / (time.perf_counter() - started))
    return statistics.median(rates)


def peak(sizes: Sizes) -> Iterator[Row]:
    """The device's speed at what it does best."""
    size, times = sizes.product, 20
    a, b = (torch.randn(size, size, device=sizes.device).bfloat16() for _ in range(2))

    def products() -> float:
        for _ in range(times):
            torch.mm(a, b)
        return times * 2.0 * size**3 / 1e12

    rate = median_rate(sizes, products, warm=2)
    yield Row(f"matrix product {size:,}³, bfloat16", "torch", rate, "TFLOP/s")


def gpt2(sizes: Sizes) -> TransformerConfig:
    """GPT-2 124M without dropout, as it is trained today."""
    still = {"dropout": 0.0, "attention_dropout": 0.0}
    most = {"vocab_size": sizes.vocabulary, "max_positions": sizes.context}
    return preset_config("gpt2", decoder_layers=sizes.layers, **most, **still)


def training_flops(config: TransformerConfig, context: int) -> float:
    """Of a token, forward and back: `6N + 12·layers·width·context`; arXiv 2204.02311, appendix B.
    The vectors of positions are only looked up."""
    weights = count_parameters(config) - config.max_positions * config.d_model
    return 6.0 * weights + 12.0 * config.decoder_layers * config.d_model * context


@contextmanager
def windows(ids: np.ndarray, vocabulary: int, context: int, rows: int) -> Iterator[WindowData]:
    """Ids on disk, as training reads them."""
    with tempfile.TemporaryDirectory() as folder:
        with TokenWriter(Path(folder), vocab_size=vocabulary) as writer:
            writer.write([ids])
        store = TokenStore(Path(folder))
        yield WindowData(store.ids, context=context, max_tokens=context * rows, seed=1)


def trainer(
    config: TransformerConfig, data: WindowData, sizes: Sizes, **training: object
) -> Trainer:
    """A model on the device, with all that a run has."""
    model = Transformer(config)
    initialize(model, seed=1)
    recipe = TrainingRecipe(precision="bfloat16", schedule="cosine", warmup=100, **training)
    return Trainer(model.to(sizes.device), data, Recipe(training=recipe))


def train_ours(sizes: Sizes, *, compiled: bool) -> Iterator[Row]:
    """Our step, its batches from disk, its numbers read a step later."""
    config, each = gpt2(sizes), sizes.rows * sizes.context
    ids = np.random.default_rng(0).integers(0, sizes.vocabulary, 64 * each, dtype=np.int64)
    with windows(ids, sizes.vocabulary, sizes.context, sizes.rows) as data:
        some = trainer(config, data, sizes, beta2=0.95, weight_decay=0.1, compile=compiled)

        def steps() -> float:
            for _ in range(sizes.steps):
                some.step()
                some.reports()
            return float(sizes.steps * each)

        rate = median_rate(sizes, steps, warm=2)
    yield _training_row(sizes, "transduce", rate, compiled=compiled)


def train_plain(sizes: Sizes, *, compiled: bool) -> Iterator[Row]:
    """The same network in a plain loop; its batch is always on the device."""
    config, rows = gpt2(sizes), sizes.rows
    model = PlainGpt(sizes.vocabulary, sizes.context, config.d_model, config.heads, sizes.layers)
    ids_BT = torch.randint(sizes.vocabulary, (rows, sizes.context + 1), device=sizes.device)
    step = plain_step(model, ids_BT, compiled=compiled)

    def steps() -> float:
        for _ in range(sizes.steps):
            step()
        return float(sizes.steps * rows * sizes.context)

    rate = median_rate(sizes, steps, warm=2)
    yield _training_row(sizes, "plain loop", rate, compiled=compiled)


def _training_row(sizes: Sizes, name: str, rate: float, *, compiled: bool) -> Row:
    size = count_parameters(gpt2(sizes)) / 1e6
    task = f"training, GPT-2 {size:.0f}M, {sizes.rows} × {sizes.context:,}, bfloat16"
    flops = training_flops(gpt2(sizes), sizes.context)
    return Row(task, name + (", compiled" if compiled else ""), rate, "tokens/s", flops)


def decode(sizes: Sizes, config: TransformerConfig, beam: int) -> Iterator[Row]:
    """Texts of equal length, from prompts or sources of random ids; bfloat16 weights."""
    model = built(config).to(sizes.device).bfloat16()
    name = f"GPT-2 {count_parameters(config) / 1e6:.0f}M, greedy"
    if config.has_encoder:
        name = f"base, {count_parameters(config) / 1e6:.0f}M, beam {beam}"
    for batch in sizes.batches:
        ids = torch.randint(4, config.vocab_size, (batch, 24)).tolist()
        tasks = [_task(config, row, sizes.written) for row in ids]

        @torch.inference_mode()
        def run(some: Sequence[Request] = tasks) -> float:
            found = decode_all(ModelStepper(model), beams(beam).build(), some)
            return float(sum(len(best[0].ids) for best in found))

        rate = median_rate(sizes, run)
        yield Row(f"decoding, {name}, {sizes.written} tokens", f"batch {batch}", rate, "tokens/s")


def _task(config: TransformerConfig, ids: list[int], limit: int) -> Request:
    if config.has_encoder:
        return Request(prompt=[2], source=ids, max_new_tokens=limit)
    return Request(prompt=ids, max_new_tokens=limit)


def shakespeare(sizes: Sizes) -> Iterator[Row]:
    """Characters: 6 layers, 6 heads, width 384, context 256, batches of 64, dropout 0.2. With a
    text the loss on its last tenth, after so many steps as there is time for."""
    ids, vocabulary = _characters(sizes.text)
    cut = len(ids) * 9 // 10
    layers, rows = min(6, sizes.layers), min(64, 16 * sizes.rows)
    fields = {
        "decoder_layers": layers,
        "heads": 6,
        "d_model": 384,
        "d_ff": 1536,
        "max_positions": 256,
    }
    rates = {"dropout": 0.2, "attention_dropout": 0.2}
    config = preset_config("gpt2", vocab_size=vocabulary, **fields, **rates)
    task = f"training, {layers} layers of 384, {rows} × 256, bfloat16"
    options = {"steps": sizes.shakespeare_steps, "beta2": 0.99, "weight_decay": 0.1}
    with windows(ids[:cut], vocabulary, 256, rows) as data:
        some, started = trainer(config, data, sizes, **options), time.perf_counter()
        reports = []
        while some.steps_done < sizes.shakespeare_steps:
            some.step()
            reports += some.reports()
            if time.perf_counter() - started > sizes.shakespeare_seconds:
                break
        reports += some.reports(flush=True)
    seconds = [report.seconds for report in reports if isinstance(report, StepReport)]
    yield Row(task, "transduce", 1 / statistics.median(seconds), "steps/s")
    if sizes.text is not None:
        with (
            windows(ids[cut:], vocabulary, 256, rows) as valid,
            some.evaluating() as model,
            some.forward_precision(),
        ):
            found = likelihood(model, valid.in_order())
        yield Row(task, f"after {some.steps_done:,} steps", found.loss, "nats, validation")


def _characters(text: Path | None) -> tuple[np.ndarray, int]:
    """A text's characters as ids, or random ones of as many kinds as Shakespeare's."""
    if text is None:
        return np.random.default_rng(0).integers(0, 65, 1_000_000), 65
    kinds, ids = np.unique([*text.read_text(encoding="utf-8")], return_inverse=True)
    return ids, len(kinds)


def base(sizes: Sizes) -> TransformerConfig:
    """The original base model."""
    layers = {"encoder_layers": sizes.base_layers, "decoder_layers": sizes.base_layers}
    return preset_config("base", vocab_size=min(32_000, sizes.vocabulary), **layers)


# By name, with the most seconds that each may take.
PARTS: dict[str, tuple[float, Callable[[Sizes], Iterator[Row]]]] = {
    "peak": (45, peak),
    "ours": (60, lambda sizes: train_ours(sizes, compiled=False)),
    "plain": (60, lambda sizes: train_plain(sizes, compiled=False)),
    "decoding": (75, lambda sizes: decode(sizes, gpt2(sizes), 1)),
    "beam": (75, lambda sizes: decode(sizes, base(sizes), 4)),
    "shakespeare": (100, shakespeare),
    "ours-compiled": (120, lambda sizes: train_ours(sizes, compiled=True)),
    "plain-compiled": (120, lambda sizes: train_plain(sizes, compiled=True)),
}
