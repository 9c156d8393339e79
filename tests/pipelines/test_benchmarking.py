"""Speed of a model: runs by turns, the work that is timed, number types that cannot be used."""

from itertools import count
from pathlib import Path

import pytest
import torch

from tests.label_models import write_classifier, write_tagger
from tests.masked_models import write_masked
from tests.models import tiny_config, tiny_model
from tokenizer import TrainingOptions, train_tokenizer
from transformer.abilities import COMMANDS
from transformer.errors import ConfigError, UnknownNameError
from transformer.export import save_model
from transformer.kernels import LINEAR_KERNELS
from transformer.loading import DTYPES, load_model
from transformer.pipelines.benchmarking import Benchmark, BenchmarkSettings, Column, machine
from transformer.pipelines.benchmarking.machine import Memory, memory_in_use
from transformer.pipelines.benchmarking.timing import timed_runs
from transformer.pipelines.benchmarking.workloads import WORKLOADS, encode_texts, random_rows

CPU = torch.device("cpu")
TEXTS = ["one two three", "one", "two one " * 30]


class Clock:
    """A clock that stands still but for work."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float, units: int):
        def do() -> int:
            self.now += seconds
            return units

        return do


def write_model(folder: Path, shape: str, **changes: object) -> Path:
    tokenizer = train_tokenizer(TEXTS * 9, TrainingOptions(kind="bpe", vocab_size=60))
    fields = {"vocab_size": tokenizer.vocab_size, "max_positions": 40, **changes}
    model = tiny_model(shape, **fields)
    folder.mkdir(exist_ok=True)
    save_model(folder, model.config, model.state_dict(), tokenizer, card={})
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, Path]:
    """A model for each workload."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "translate": write_model(folder / "translator", "encoder-decoder"),
        "generate": write_model(folder / "writer", "decoder"),
        "classify": write_classifier(folder / "classifier"),
        "tag": write_tagger(folder / "tagger"),
        "fill": write_masked(folder / "masked"),
        "embed": write_masked(folder / "encoder", head="none", output_bias=False),
    }


def opened(path: Path, *, texts=(), free_memory=None, **settings) -> Benchmark:
    settings = BenchmarkSettings(**{"batch_sizes": (1, 3), "repeats": 2, **settings})
    return Benchmark(path, settings, device="cpu", texts=texts, free_memory=free_memory)


def measured(path: Path, **settings) -> Benchmark:
    """All of it, with a clock of which each look is a second later."""
    made, seconds = opened(path, **settings), count()
    for name in made.dtypes:
        made.load(name)
    for _ in made.measure(least_seconds=0.0, clock=lambda: float(next(seconds))):
        pass
    return made


def test_runs_take_turns_after_one_each_to_warm_up() -> None:
    clock = Clock()
    work = {"slow": clock.work(4.0, 8), "fast": clock.work(0.5, 8)}
    runs = [*timed_runs(work, repeats=2, least_seconds=0.0, clock=clock)]
    assert runs == [("slow", None), ("fast", None)] + [("slow", 2.0), ("fast", 16.0)] * 2


def test_a_short_run_does_its_work_until_the_least_time_is_over() -> None:
    clock, seconds = Clock(), iter([5.0, 1.0, 0.25, 0.25, 1.0])
    done = []

    def do() -> int:
        done.append(clock.now)
        clock.now += next(seconds)
        return 6

    rates = [run.rate for run in timed_runs({"it": do}, repeats=1, least_seconds=1.5, clock=clock)]
    assert rates == [None, 12 + 0.0] and len(done) == 4  # 18 in 1.5 s; the first run is one


@pytest.mark.parametrize("kind", WORKLOADS)
def test_every_kind_of_model_is_measured_in_every_number_type(kind, models) -> None:
    found = measured(models[kind])
    assert found.workload is WORKLOADS[kind]
    assert {*found.loaded} | {*found.not_measured} == {*DTYPES} - {"auto"}
    assert found.choice.startswith("dtype auto is ")
    assert {"float32", "bfloat16"} <= {*found.loaded}
    new = found.lengths.new_tokens
    assert bool(new) == (kind in {"translate", "generate"})
    assert {column.beam for column in found.columns} == {*WORKLOADS[kind].beams}
    assert [c.batch_size for c in found.columns] == [1, 3] * len(WORKLOADS[kind].beams)
    for column in found.columns:
        for name in found.loaded:  # a second for each run: its units
            assert found.runs[name, column] == [column.batch_size * (new or 1)] * 2
            assert found.ratio(name, column) == 1.0
    assert found.is_complete and found.share_done == pytest.approx(1.0)


def test_there_is_a_workload_for_all_that_a_model_can_do_first() -> None:
    assert {*WORKLOADS} | {"score"} == {name for name in COMMANDS if "evaluate" not in name}


def test_rates_are_medians_and_ratios_those_to_float32(models) -> None:
    made, column = opened(models["generate"]), Column(1, 1)
    assert made.rate("float32", column) is made.ratio("float32", column) is None
    made.runs = {("bfloat16", column): [30.0, 5.0, 20.0]}
    assert (made.rate("bfloat16", column), made.ratio("bfloat16", column)) == (20.0, None)
    made.runs["float32", column] = [8.0]
    assert made.ratio("bfloat16", column) == 2.5
    assert not made.is_complete


@pytest.mark.parametrize(
    ("column", "names"),
    [
        (Column(2), ("forward", "forward", 2)),
        (Column(2, 1), ("greedy", "greedy", 2)),
        (Column(2, 4), ("beam", "beam 4", 8)),
    ],
)
def test_a_column_has_the_name_of_its_search(column, names) -> None:
    assert (column.kind, column.search, column.rows) == names


@pytest.mark.parametrize(("beam", "beams"), [(None, [1, 4]), (1, [1]), (2, [1, 2])])
def test_beams_stand_beside_greedy_search(beam, beams) -> None:
    columns = WORKLOADS["translate"].columns([5], beam)
    assert columns == [Column(5, each) for each in beams]


@pytest.mark.parametrize(
    ("kind", "shape", "context", "given", "lengths"),
    [
        ("translate", "encoder-decoder", 100, (None, None), (24, 32)),
        ("translate", "encoder-decoder", 20, (None, None), (20, 20)),
        ("translate", "encoder-decoder", 20, (20, 20), (20, 20)),
        ("generate", "decoder", 200, (None, None), (32, 64)),
        ("generate", "decoder", 21, (None, None), (11, 10)),
        ("generate", "decoder", 2, (None, None), (1, 1)),
        ("generate", "decoder", 21, (None, 20), (1, 20)),
        ("generate", "decoder", 21, (5, 16), (5, 16)),
        ("embed", "encoder", 20, (None, None), (20, 0)),
        ("embed", "encoder", 200, (None, None), (32, 0)),
    ],
)
def test_lengths_are_those_given_or_what_the_context_has_room_for(
    kind, shape, context, given, lengths
) -> None:
    config = tiny_config(shape, max_positions=context)
    assert WORKLOADS[kind].lengths(config, *given) == lengths


@pytest.mark.parametrize(
    ("kind", "shape", "given", "told"),
    [
        ("generate", "decoder", (5, 17), "--prompt-tokens 5 and --new-tokens 17: the model's "),
        ("generate", "decoder", (None, 21), "21: the model's context is 21 tokens, for both"),
        ("translate", "encoder-decoder", (22, None), "--prompt-tokens 22: the model's context is "),
        ("translate", "encoder-decoder", (None, 22), "--new-tokens 22: the model's context is 21"),
        ("embed", "encoder", (22, None), "--prompt-tokens 22: the model's context is 21 tokens"),
        ("embed", "encoder", (None, 3), "--new-tokens: the encoder writes nothing"),
    ],
)
def test_lengths_beyond_the_context_are_refused(kind, shape, given, told) -> None:
    config = tiny_config(shape, max_positions=21)
    with pytest.raises(ConfigError, match=told):
        WORKLOADS[kind].lengths(config, *given)


def test_a_decoder_of_its_own_context_is_told() -> None:
    config = tiny_config("encoder-decoder", max_positions=40, max_target_positions=10)
    assert WORKLOADS["translate"].lengths(config, None, None) == (24, 10)
    with pytest.raises(ConfigError, match="is 40 tokens, and 10 for what is written"):
        WORKLOADS["translate"].lengths(config, None, 11)


def test_random_ids_are_the_same_each_time_and_of_the_vocabulary_that_is_read() -> None:
    config = tiny_config("encoder-decoder", share_embeddings=False, source_vocab_size=900)
    rows = random_rows(config, 5, 40)
    assert rows == random_rows(config, 5, 40)
    assert [len(row) for row in rows] == [40] * 5
    assert config.vocab_size < max(map(max, rows)) < 900
    assert max(map(max, random_rows(tiny_config("decoder"), 5, 40))) < tiny_config().vocab_size


def test_texts_are_read_with_the_tokens_around_them_and_cut(models) -> None:
    loaded = load_model(models["translate"], device="cpu")
    rows, cut = encode_texts(loaded, TEXTS, 8, continued=True)
    before, after = loaded.special_affixes
    assert rows[1] == [*before, *loaded.tokenizer.encode("one"), *after] and after
    assert (len(rows[2]), rows[2][-1:], cut) == (8, after, 1)
    masked = load_model(models["fill"], device="cpu")
    (first,), _ = encode_texts(masked, TEXTS[:1], 30, continued=False)
    assert first == [
        *masked.special_affixes[0],
        *masked.tokenizer.encode(TEXTS[0]),
        *masked.special_affixes[1],
    ]


def test_what_is_continued_has_no_end_after_it(models, monkeypatch) -> None:
    loaded = load_model(models["generate"], device="cpu")
    monkeypatch.setattr(loaded.tokenizer, "special_affixes", lambda: ([5], [6]))
    assert encode_texts(loaded, [""], 8, continued=True)[0] == [[5]]
    assert encode_texts(loaded, [""], 8, continued=False)[0] == [[5, 6]]
    monkeypatch.undo()
    rows, _ = encode_texts(loaded, ["one", ""], 8, continued=True)
    assert rows == [loaded.tokenizer.encode("one"), [loaded.generation.end_id]]


def test_texts_stand_in_for_random_ids_and_are_read_again_where_there_are_few(models) -> None:
    made = opened(models["generate"], texts=TEXTS[:2], batch_sizes=(2, 5), new_tokens=4)
    rows = made._rows
    assert len(rows) == 5
    assert rows[0] == rows[2] == rows[4] != rows[1]
    assert (made.longest, made.num_cut) == (len(rows[0]), 0)
    long = opened(models["generate"], texts=TEXTS, batch_sizes=(3,), new_tokens=30)
    assert (long.longest, long.num_cut) == (10, 1)


def test_no_token_ends_a_text_and_all_write_the_same_number(models, monkeypatch) -> None:
    """Greedy search of a tiny model soon writes its end token otherwise."""
    found = measured(models["generate"], new_tokens=25, prompt_tokens=3, dtypes=("float32",))
    assert found.runs["float32", Column(3, 1)] == [75.0] * 2


def test_a_number_type_without_a_kernel_is_named_with_the_reason(models, monkeypatch) -> None:
    monkeypatch.setattr("transformer.loading.inference.is_usable", lambda *_: False)
    found = measured(models["generate"], dtypes=("float16", "float32"))
    assert [*found.loaded] == ["float32"]
    assert found.not_measured == {
        "float16": "this machine has no kernel for float16: float32 is used"
    }
    with pytest.raises(ConfigError, match="no kernel for float16"):
        measured(models["generate"], dtypes=("float16",))


def test_a_number_type_that_the_device_lacks_is_named(models, monkeypatch) -> None:
    made = opened(models["generate"])
    monkeypatch.setattr(
        "transformer.loading.inference.choose_device", lambda name: torch.device("cuda")
    )
    made.load("float16")
    assert "dtype float16 is for a CPU" in made.not_measured["float16"]


def test_notices_of_a_number_type_are_its_own(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        "transformer.loading.inference.pack_model",
        lambda model, kernel: 2 if kernel is LINEAR_KERNELS["float16"] else 0,
    )
    monkeypatch.setattr("transformer.loading.load.settings_notices", lambda *_: ("of all",))
    made = opened(write_model(tmp_path / "model", "decoder"))
    made.load("float16")
    made.load("float32")
    assert made.loaded["float16"].notices == (
        "2 matrices with numbers beyond float16 stay in float32",
    )
    assert made.loaded["float32"].notices == ()


def test_more_than_the_free_memory_is_refused_before_types_are_loaded(models) -> None:
    weights = sum(
        x.numel() for x in load_model(models["generate"], device="cpu").model.parameters()
    )
    two = ("float32", "bfloat16")
    opened(models["generate"], free_memory=6 * weights, dtypes=two)
    with pytest.raises(ConfigError, match=r"in 2 number types take .* name fewer with --dtype"):
        opened(models["generate"], free_memory=6 * weights - 1, dtypes=two)


def test_memory_is_what_the_program_grew_by(models, monkeypatch) -> None:
    states = iter([Memory(100, 7), Memory(160, 5), None, Memory(1, 1)])
    monkeypatch.setattr(
        "transformer.pipelines.benchmarking.benchmark.memory_in_use", lambda device: next(states)
    )
    made = opened(models["generate"])
    for name in ("float32", "bfloat16"):
        made.load(name)
    assert made.loaded["float32"].memory == Memory(60, 0)
    assert made.loaded["bfloat16"].memory is None
    assert made.loaded["float32"].seconds > 0


def test_the_system_tells_memory(tmp_path, monkeypatch) -> None:
    (tmp_path / "status").write_text("VmRSS:\t 9 kB\nRssAnon:\t 3 kB\nRssFile:\t 2 kB\n")
    monkeypatch.setattr(machine, "_STATUS", tmp_path / "status")
    assert memory_in_use(CPU) == Memory(3072, 2048)
    (tmp_path / "status").unlink()
    assert memory_in_use(CPU) is None


def test_a_machine_has_the_cpus_name_and_quota(monkeypatch) -> None:
    monkeypatch.setattr(machine, "cpu_quota", lambda: 1.5)
    monkeypatch.setattr(machine, "cpu_name", lambda: "A")
    assert machine.Machine.of(CPU) == ("cpu", "A", torch.get_num_threads(), torch.__version__, 1.5)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"repeats": 0}, ConfigError),
        ({"batch_sizes": (1, 0)}, ConfigError),
        ({"dtypes": ("float23",)}, UnknownNameError),
    ],
)
def test_settings_are_checked(wrong, error) -> None:
    with pytest.raises(error):
        BenchmarkSettings(**wrong)
