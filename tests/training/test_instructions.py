"""Conversations to train on: their forms, what is predicted, and what becomes of them in a run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cli.render.data_report import data_lines, loss_lines
from tests.chat.styles import LLAMA2
from tests.families.random_folders import draw, write_folder
from tests.training.test_run import changed
from tests.training.toys import store, train
from tokenizer import CorpusCounts, CorpusError
from transformer.batch_loss import batch_loss
from transformer.chat.encoding import encode_chat
from transformer.chat.template import Message, read_chat_template
from transformer.data import ConversationData, TokenStore
from transformer.errors import ConfigError
from transformer.export import convert_model
from transformer.inputs import IGNORE
from transformer.loading import load_model
from transformer.training.conversations import ConversationCorpus, conversation_of
from transformer.training.data_recipe import DataRecipe
from transformer.training.events import DataPrepared
from transformer.training.recipe import Recipe
from transformer.training.recipe_resolution import resolve_recipe

ASKED, ANSWER = "The quick brown fox", "jumps over"
PAIR = (Message("user", ASKED), Message("assistant", ANSWER))
FORMS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWER}]},
    {"conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": ANSWER}]},
    {"prompt": ASKED, "completion": ANSWER},
    {"prompt": [{"role": "user", "content": ASKED}], "completion": ANSWER},
    {"instruction": ASKED, "input": "", "output": ANSWER},
    {"instruction": ASKED, "context": None, "response": ANSWER},
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": ASKED}]},
            {"role": "assistant", "content": ANSWER},
        ]
    },
]


@pytest.mark.parametrize("record", FORMS)
def test_each_form_of_a_record_is_the_same_conversation(record: dict[str, Any]) -> None:
    conversation = conversation_of(record)
    assert conversation.messages == PAIR
    assert conversation.is_completion == (record.get("prompt") == ASKED)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"text": "x"}, "it has text, not messages, prompt and completion, or instr"),
        ({"messages": [{"content": "x"}]}, "no role"),
        ({"messages": [{"role": "user", "content": None}]}, "'None', no text"),
        ({"messages": "x"}, "no list"),
        ([1], "no object"),
        ({}, "it has none, not messages"),
    ],
)
def test_a_record_of_no_form_is_told_with_its_place(record, words: str, tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text(f"{json.dumps(FORMS[0])}\n\n{json.dumps(record)}\n")
    corpus = ConversationCorpus(DataRecipe(conversations=[str(path)]), CorpusCounts(), 1)
    with pytest.raises(CorpusError, match=rf"talk.jsonl, line 3.*{words}"):
        [list(group.texts) for group in corpus.training()]


def test_conversations_that_begin_alike_are_drawn_together(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    records = [{"prompt": f"a{n % 30}", "completion": f"b{n}"} for n in range(300)]
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    recipe = DataRecipe(conversations=[str(path)], valid_fraction=0.2)
    corpus = ConversationCorpus(recipe, CorpusCounts(), 1)
    parts = [
        {c.messages[0].content for group in groups for c in group.texts}
        for groups in (corpus.training(), corpus.validation())
    ]
    assert parts[0] & parts[1] == set()
    assert len(parts[0] | parts[1]) == 30
    assert 1 <= len(parts[1]) <= 12


def test_a_batch_predicts_answers_alone(tmp_path: Path) -> None:
    """Two conversations by hand: 5 6 | 7 8, and 5 | 6 | 7 of which the first 5 is a prompt."""
    ids = store(tmp_path / "ids", [[5, 6, 7, 8], [5, 6, 7]])
    marks = store(tmp_path / "marks", [[0, 0, 1, 1], [0, 1, 0]])
    data = ConversationData(ids, marks, max_tokens=99, seed=0)
    (batch,) = data.in_order()
    assert batch.rows.tolist() == [1, 0]
    assert batch.inputs.ids_BT.tolist() == [[5, 6, 0], [5, 6, 7]]
    assert batch.targets.tolist() == [[6, IGNORE, IGNORE], [IGNORE, 7, 8]]
    assert batch.predicted_N.tolist() == [0, 4, 5]
    assert batch.num_targets == data.num_targets(0) == 3
    assert data.describe(0) in {"kept conversations 0, 1", "kept conversations 1, 0"}


def conversations_recipe(folder: Path, records: list[Any], **data: Any) -> Recipe:
    path = folder / "talk.jsonl"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    fields = {
        "data": {
            "conversations": [str(path)],
            "valid_fraction": 0.3,
            "max_tokens": 60,
            "max_unknown": 1.0,
            **data,
        },
        "training": {"steps": 4, "batch_tokens": 120, "warmup": 1, "schedule": "constant"},
        "validation": {"every": 2},
    }
    return resolve_recipe(None, fields, [])


RECORDS = [
    {"instruction": f"{ASKED} {word}", "output": f"{ANSWER} {word}"}
    for word in ("lazy", "dogs", "bananas", "e.g.", "1234", "over")
]


def llama(folder: Path, template: str | None = LLAMA2) -> Path:
    write_folder(draw("llama", 6), folder / "model")
    if template is not None:
        (folder / "model" / "chat_template.jinja").write_text(template)
    return folder / "model"


def test_a_run_learns_the_answers_of_conversations(tmp_path: Path) -> None:
    model = llama(tmp_path)
    long = {"instruction": f"{ASKED} " * 20, "output": ANSWER}
    refused = {"messages": [{"role": "user", "content": "a"}] * 2 + FORMS[0]["messages"]}
    mute = {"messages": FORMS[0]["messages"][:1]}
    recipe = conversations_recipe(tmp_path, [*RECORDS, long, refused, mute])
    assert recipe.objective == "instructions"
    events = train(recipe, tmp_path / "run", init=model)
    (told,) = [event for event in events if isinstance(event, DataPrepared)]
    left_out = {**told.training.left_out}
    for reason, count in told.validation.left_out.items():
        left_out[reason] = left_out.get(reason, 0) + count
    assert left_out == {"too long": 1, "refused": 1, "unanswered": 1}
    assert told.training.kept + told.validation.kept == len(RECORDS)
    trained = load_model(tmp_path / "run", device="cpu")
    template = read_chat_template(trained.folder, trained.tokenizer)
    assert template is not None
    for part in ("train", "valid"):
        folder = tmp_path / "run" / "data" / part
        ids, marks = TokenStore(folder / "ids"), TokenStore(folder / "predicted")
        (batch, *_) = ConversationData(ids, marks, max_tokens=1, seed=0).in_order()
        row = ids[int(batch.rows[0])].tolist()
        start = int(np.asarray(marks[int(batch.rows[0])]).argmax())
        prompts = [
            encode_chat(template, trained.tokenizer, [Message("user", record["instruction"])]).ids
            for record in RECORDS
        ]
        assert row[:start] in prompts
        assert row[-1] == trained.generation.end_id
        logits_TV = trained.model(batch.inputs)[0].log_softmax(-1)
        expected = -sum(float(logits_TV[n - 1, row[n]]) for n in range(start, len(row)))
        assert float(batch_loss(trained.model, batch)[1]) == pytest.approx(expected, rel=1e-5)
    convert_model(tmp_path / "run", tmp_path / "again", to="llama")
    assert (tmp_path / "again" / "chat_template.jinja").read_text() == LLAMA2


def test_messages_after_the_last_answer_are_counted(tmp_path: Path) -> None:
    thanks = [{"role": "user", "content": text} for text in ("thanks", "bye")]
    short = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    talk = {"messages": [*short * 2, *thanks]}
    recipe = conversations_recipe(tmp_path, [*RECORDS, talk], valid_fraction=0.0)
    events = train(recipe, tmp_path / "run", init=llama(tmp_path))
    (told,) = [event for event in events if isinstance(event, DataPrepared)]
    assert told.training.unread == len(thanks)
    expected = "2 messages after the last answer, not read"
    assert any(expected in line for line in data_lines(told))
    assert f"training: {expected}" in loss_lines(told)


def test_messages_need_a_template_and_completions_do_not(tmp_path: Path) -> None:
    completions = [{"prompt": "a", "completion": word} for word in ("b", "c")]
    recipe = conversations_recipe(tmp_path, [*RECORDS, *completions], valid_fraction=0.0)
    events = train(recipe, tmp_path / "run", init=llama(tmp_path, template=None))
    (told,) = [event for event in events if isinstance(event, DataPrepared)]
    assert (told.training.kept, told.training.left_out) == (2, {"unframed": len(RECORDS)})
    need = "6 that need a chat template, which the model lacks (--chat-template)"
    assert need in loss_lines(told)[0]


def test_nothing_to_train_on_is_told_with_its_reason(tmp_path: Path) -> None:
    recipe = conversations_recipe(tmp_path, RECORDS, max_tokens=4)
    with pytest.raises(CorpusError, match=r"all 6 conversations.*: 6 of 5 tokens or more"):
        train(changed(recipe, data={"valid_fraction": 0.0}), tmp_path / "run", init=llama(tmp_path))


def test_resuming_conversations_is_the_same(tmp_path: Path) -> None:
    recipe = conversations_recipe(tmp_path, RECORDS)
    train(recipe, tmp_path / "whole", init=llama(tmp_path))
    train(changed(recipe, training={"steps": 2}), tmp_path / "run", init=tmp_path / "model")
    train(recipe, tmp_path / "run", resume=True)
    whole, resumed = (
        load_model(tmp_path / name, device="cpu").model.state_dict() for name in ("whole", "run")
    )
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_template_is_given_and_kept_with_the_token_that_ends_its_turns(tmp_path: Path) -> None:
    """Its turns end with a token that did not end texts before."""
    model = llama(tmp_path, None)
    recipe = conversations_recipe(tmp_path, RECORDS)
    with pytest.raises(CorpusError, match=r"has no chat template.*--chat-template, or records of"):
        train(recipe, tmp_path / "run", init=model)
    ending = "{% for m in messages %}{{ m.role }}: {{ m.content }}<unk>{% endfor %}"
    (tmp_path / "chat.jinja").write_text(ending)
    recipe = conversations_recipe(tmp_path, RECORDS, chat_template=str(tmp_path / "chat.jinja"))
    train(recipe, tmp_path / "run2", init=model)
    trained = load_model(tmp_path / "run2", device="cpu")
    before = load_model(model, device="cpu")
    unknown = trained.tokenizer.token_id("<unk>")
    assert trained.generation.end_ids == (*before.generation.end_ids, unknown)
    template = read_chat_template(trained.folder, trained.tokenizer)
    assert template is not None
    assert template.text == ending
    ids = TokenStore(tmp_path / "run2" / "data" / "train" / "ids")
    assert {int(ids[row][-1]) for row in range(len(ids))} == {unknown}


def test_prompts_and_completions_need_no_template_and_no_model(tmp_path: Path) -> None:
    records = [{"prompt": f"{n} + 1 = ", "completion": str(n + 1)} for n in range(12)]
    path = tmp_path / "talk.jsonl"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    recipe = conversations_recipe(tmp_path, records)
    small = {"preset": "write-tiny", "d_model": 16, "d_ff": 32, "heads": 2, "decoder_layers": 1}
    recipe = changed(recipe, model=small, tokenizer={"kind": "char"})
    events = train(recipe, tmp_path / "run")
    (told,) = [event for event in events if isinstance(event, DataPrepared)]
    assert told.training.kept + told.validation.kept == 12
    trained = load_model(tmp_path / "run", device="cpu")
    ids = TokenStore(tmp_path / "run" / "data" / "train" / "ids")
    marks = TokenStore(tmp_path / "run" / "data" / "train" / "predicted")
    prompt = trained.tokenizer.encode(f"{records[0]['prompt']}")
    rows = [ids[row].tolist() for row in range(len(ids))]
    assert any(row[: len(prompt)] == prompt for row in rows) or told.validation.kept
    for row in range(len(ids)):
        answer = ids[row][np.asarray(marks[row]) == 1].tolist()
        assert answer[-1] == trained.generation.end_id
        text = trained.tokenizer.decode(ids[row].tolist())
        assert int(text.split(" + ")[0]) + 1 == int(trained.tokenizer.decode(answer[:-1]))
    with pytest.raises(ConfigError, match=r"--chat-template: only with --init"):
        train(changed(recipe, data={"chat_template": "x"}), tmp_path / "other")
