"""Published folders, run as they are: the texts are those that transformers writes."""

import pytest
import torch
import transformers

from tests.families.published import FAMILIES, edit
from tests.tokenizer.pretrained.folders import LLAMA, WORDS, sentencepiece_model, write
from tests.tokenizer.pretrained.test_pairs import pieces, vocabulary
from tokenizer import read_tokenizers

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses"),
]

LINES = ["The quick brown fox", "", "jumps over the lazy dog.", "Zwölf Boxkämpfer", "1234 e.g."]
SETTINGS = dict(num_beams=3, max_length=16, no_repeat_ngram_size=2, length_penalty=0.8)


def published(folder, family, files, *, generation=None, **options):
    """A folder of a family with random weights and these tokenizer files."""
    write(folder, files)
    known = FAMILIES[family]
    names = read_tokenizers(folder)
    torch.manual_seed(0)
    size = max(names.source.vocab_size, names.target.vocab_size)
    config = getattr(transformers, known.config)(**{**known.sizes, "vocab_size": size, **options})
    model = getattr(transformers, known.model)(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.2 * torch.randn_like(weight))
    model.save_pretrained(folder)
    if generation:
        edit(folder / "generation_config.json", **generation)
    return model.from_pretrained(folder)


def translations(model, pieces, lines, **asked):
    """Line by line, as transformers does it; an empty line stays one."""
    found = []
    for line in lines:
        encoded = pieces(line, return_tensors="pt")
        ids = model.generate(**encoded, **asked)
        text = pieces.decode(ids[0], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        found.append(text if line else "")
    return found


@pytest.fixture(scope="module")
def marian(tmp_path_factory):
    folder = tmp_path_factory.mktemp("opus-mt")
    models = [sentencepiece_model("unigram", 180, words=w) for w in (WORDS[:17], WORDS[12:])]
    names = vocabulary(pieces(models[0]) + pieces(models[1]))
    pad = names["<pad>"]
    settings = {"tokenizer_class": "MarianTokenizer"}
    files = {
        "source.spm": models[0],
        "target.spm": models[1],
        "vocab.json": names,
        "tokenizer_config.json": settings,
    }
    ids = dict(pad_token_id=pad, decoder_start_token_id=pad, eos_token_id=names["</s>"])
    generation = {**SETTINGS, **ids, "bad_words_ids": [[pad]]}
    ids |= dict(forced_eos_token_id=None, bos_token_id=None)
    return folder, published(folder, "marian", files, generation=generation, **ids)


def test_translate_runs_a_marian_folder(marian, transduce):
    folder, model = marian
    pieces = transformers.MarianTokenizer.from_pretrained(folder)
    code, out, err = transduce("translate", "-m", folder, stdin="\n".join(LINES).encode())
    assert code == 0, err
    assert out.decode().split("\n")[:-1] == translations(model, pieces, LINES)


def test_a_marian_folder_becomes_one_of_ours_and_answers_the_same(marian, transduce, tmp_path):
    folder, _ = marian
    wanted = transduce("translate", "-m", folder, stdin="\n".join(LINES).encode())
    assert (
        transduce("checkpoint", "convert", folder, "-o", tmp_path / "o", "--to", "transduce")[0]
        == 0
    )
    assert transduce("translate", "-m", tmp_path / "o", stdin="\n".join(LINES).encode()) == wanted
    code, out, err = transduce("checkpoint", "verify", folder, tmp_path / "o")
    assert (code, err) == (0, b"")
    assert b"other text" not in out
    code, out, _ = transduce("checkpoint", "show", folder)
    assert b"family        marian" in out
    assert b"num_beams 3" in out


@pytest.fixture(scope="module")
def m2m(tmp_path_factory):
    folder = tmp_path_factory.mktemp("m2m")
    model = sentencepiece_model("bpe", 200)
    names = ["<s>", "<pad>", "</s>", "<unk>", *pieces(model)]
    files = {
        "sentencepiece.bpe.model": model,
        "vocab.json": {name: number for number, name in enumerate(names)},
        "tokenizer_config.json": {"tokenizer_class": "M2M100Tokenizer"},
    }
    generation = {**SETTINGS, "num_beams": 2, "decoder_start_token_id": 2}
    return folder, published(folder, "m2m_100", files, generation=generation)


def test_translate_asks_a_multilingual_model_for_a_language(m2m, transduce):
    folder, model = m2m
    names = read_tokenizers(folder).source
    code, out, err = transduce(
        "translate", "-m", folder, "--from", "de", "--to", "fr", stdin=b"Zw\xc3\xb6lf fox\n"
    )
    assert code == 0, err
    source = [names.token_id("__de__"), *names.encode("Zwölf fox"), 2]
    found = model.generate(
        input_ids=torch.tensor([source]), forced_bos_token_id=names.token_id("__fr__")
    )
    assert out.decode() == names.decode(found[0].tolist()) + "\n"
    assert transduce("translate", "-m", folder, "--to", "de", stdin=b"fox\n").out != out


def test_a_language_that_there_is_not_is_named_with_those_there_are(m2m, marian, transduce):
    code, _, err = transduce("translate", "-m", m2m[0], "--to", "xx", stdin=b"fox\n")
    assert code == 2
    assert b"no language 'xx'" in err
    assert b"de, " in err
    code, _, err = transduce("translate", "-m", marian[0], "--from", "de", stdin=b"fox\n")
    assert code == 2


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    files = {
        "tokenizer.model": sentencepiece_model("bpe", 500, **LLAMA),
        "tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True},
    }
    return folder, published(folder, "llama", files, num_key_value_heads=2)


def test_generate_runs_a_llama_folder(llama, transduce):
    folder, model = llama
    names = read_tokenizers(folder).source
    prompt = [1, *names.encode("The quick brown")]
    wanted = model.generate(input_ids=torch.tensor([prompt]), do_sample=False, max_new_tokens=9)
    code, out, err = transduce("generate", "The quick brown", "-m", folder, "-t", "0", "-n", "9")
    assert code == 0, err
    assert out.decode() == names.decode(wanted[0].tolist()) + "\n"


def test_evaluate_gives_the_perplexity_that_transformers_gives(llama, transduce, tmp_path):
    folder, model = llama
    names = read_tokenizers(folder).source
    ids = torch.tensor([[1, *names.encode(" ".join(WORDS[:5]) + "\n")]])
    (tmp_path / "text").write_text(" ".join(WORDS[:5]) + "\n")
    with torch.inference_mode():
        loss = model(input_ids=ids, labels=ids).loss
    code, out, err = transduce("evaluate", "-m", folder, "--text", tmp_path / "text")
    assert code == 0, err
    perplexity = dict(line.split("\t")[:2] for line in out.decode().splitlines())["perplexity"]
    assert float(perplexity) == pytest.approx(float(loss.exp()), rel=1e-4)


def test_a_multilingual_model_is_trained_into_one_language(m2m, transduce, tmp_path):
    (tmp_path / "pairs.tsv").write_text("".join(f"{word}\t{word}\n" for word in WORDS[:6]))
    command = ["train", "-o", tmp_path / "run", "--pairs", tmp_path / "pairs.tsv", "--steps", "2"]
    command += ["--init", m2m[0], "--set", "data.max_unknown=1.0", "--set", "data.max_tokens=30"]
    code, _, err = transduce(*command)
    assert code == 2
    assert b"name one with --to; it has: " in err
    assert err.count(b"\n") == 1
    code, _, err = transduce(*command, "--from", "de", "--to", "fr")
    assert code == 0, err
    code, out, err = transduce("translate", "-m", tmp_path / "run", stdin=b"fox\n")
    assert code == 0, err
    told = transduce(
        "translate", "-m", tmp_path / "run", "--from", "de", "--to", "fr", stdin=b"fox\n"
    )
    assert out == told.out


def test_t5_reads_its_text_with_an_end_and_starts_from_padding(transduce, tmp_path):
    files = {
        "spiece.model": sentencepiece_model("unigram", 300),
        "tokenizer_config.json": {"tokenizer_class": "T5Tokenizer", "extra_ids": 10},
    }
    generation = {**SETTINGS, "decoder_start_token_id": 0}
    ids = dict(pad_token_id=0, eos_token_id=2)
    model = published(tmp_path, "t5", files, generation={**generation, **ids}, **ids)
    names = read_tokenizers(tmp_path).source
    source = [*names.encode("The quick fox"), *names.special_affixes()[1]]
    wanted = model.generate(input_ids=torch.tensor([source]))
    code, out, err = transduce("translate", "-m", tmp_path, stdin=b"The quick fox\n")
    assert code == 0, err
    assert out.decode() == names.decode(wanted[0].tolist()) + "\n"
