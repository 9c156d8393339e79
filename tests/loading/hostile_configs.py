"""A config.json, a generation_config.json, a manifest or a run.json of the hostile kind."""

from typing import Any

from tests.loading.damage import (
    CANARY,
    CONFIG,
    GENERATION,
    MANIFEST,
    TOKENIZER_CONFIG,
    WEIGHTS,
    Case,
    Damage,
    both,
    case,
    change,
    edit,
    fifo,
    link,
    options,
    put,
    remove,
    unreadable,
)

DEEP = '{"a":' * 200_000
CODE = {"AutoModelForCausalLM": f"evil.Model; open({CANARY!r}, 'w')"}

ANY_JSON: dict[str, tuple[Any, ...]] = {
    "empty": ("",),
    "no JSON": ("hello",),
    "cut short": ('{"model_type": "gpt2", ',),
    "zeros": (bytes(1000),),
    "deep": (DEEP,),
    "deep lists": ("[" * 5_000_000,),
    "no UTF-8": (b'{"model_type": "\xff\xfe"}',),
    "UTF-16": ('{"model_type": "gpt2"}'.encode("utf-16"),),
    "a number": ("7",),
    "a list": ("[]",),
    "null": ("null",),
    "two objects": ("{} {}",),
    "a number of 10,000 digits": ('{"vocab_size": ' + "9" * 10_000 + "}",),
    "five megabytes of lists": (lambda: b'{"a": [' + b"[]," * 1_900_000 + b"[]]}",),
    "a hundred megabytes of lists": (lambda: b'{"a": [' + b"[]," * 33_000_000 + b"[]]}",),
}
JSONS = {
    **{f"config: {name}": case(put(CONFIG, text), CONFIG) for name, (text,) in ANY_JSON.items()},
    **{
        f"generation: {name}": case(put(GENERATION, text), GENERATION)
        for name, (text,) in ANY_JSON.items()
        if "hundred" not in name
    },
    "config: starts with a mark": case(change(CONFIG, lambda raw: b"\xef\xbb\xbf" + raw), CONFIG),
    "config: none": case(remove(CONFIG), CONFIG),
    **unreadable("config", CONFIG, "config"),
    **unreadable("generation", GENERATION, GENERATION),
}


def said(*words: str, base: str = "gpt2", file: str = CONFIG, **changes: Any) -> Case:
    """Options, the first of which must be named."""
    return Case(options(file, **changes), words or (next(iter(changes)),), base)


HUGE = 10**12
SIZES = {
    "config: 10^12 parameters": said("asks for", n_embd=HUGE, vocab_size=HUGE),
    "config: a vocabulary of 10^12": said("asks for", vocab_size=HUGE),
    "config: 10^9 layers": said("asks for", "1,000,000,000 layers", n_layer=10**9),
    "config: 10^9 layers of width 1": said(
        "layers", n_layer=10**9, n_embd=1, n_head=1, n_inner=1, vocab_size=1, n_positions=1
    ),
    "config: layers of 4,000 digits": said(n_layer=10**4000),
    "config: a width of 4,000 digits": said(n_embd=10**4000),
    "config: a width of 2^63": said(n_embd=1 << 63),
    "config: no layers": said("decoder_layers", n_layer=0),
    "config: layers below zero": said("decoder_layers", n_layer=-2),
    "config: no vocabulary": said(vocab_size=0),
    "config: a vocabulary below zero": said(vocab_size=-1),
    "config: a vocabulary larger than the embedding": said("asks for", vocab_size=38),
    "config: a smaller vocabulary": said("wte", vocab_size=30),
    "config: no heads": said("heads", n_head=0),
    "config: heads that do not divide": said("heads", "multiple", n_head=3),
    "config: no positions": said("max_positions", n_positions=0),
    "config: 10^12 positions": said("asks for", n_positions=HUGE),
    "config: a layer too few": said("unknown", n_layer=1),
    "config: a window of 10^12": said("window", base="mistral", sliding_window=HUGE),
    "config: a window below zero": said("window", base="mistral", sliding_window=-5),
    "config: 10^12 positions that are turned": said("", base="llama", max_position_embeddings=HUGE),
    "config: 10^15 positions that are turned": said(
        "max_positions", base="llama", max_position_embeddings=10**15
    ),
    "config: heads of width zero": said("d_head is 0", base="llama", head_dim=0),
    "config: key heads that do not divide": said("kv_heads", base="llama", num_key_value_heads=3),
    "config: no key heads": said("kv_heads is 0", base="llama", num_key_value_heads=0),
    "config: no width": said("d_model", base="llama", hidden_size=0),
    "config: no width to divide by": said("d_model is 0", base="t5", d_model=0),
    "config: a width below zero": said("d_model is -4", base="t5", d_model=-4),
    "config: buckets below zero": said("buckets", base="t5", relative_attention_num_buckets=-1),
    "config: 10^12 buckets": said(
        "asks for",
        base="t5",
        relative_attention_num_buckets=HUGE,
        relative_attention_max_distance=HUGE,
    ),
    "config: no distance": said("distance", base="t5", relative_attention_max_distance=0),
    "config: ids below zero": said("position_offset", base="roberta", pad_token_id=-7),
}
TYPES = {
    "config: a width in words": said(n_embd="wide"),
    "config: a width in a list": said(n_embd=[16]),
    "config: a width that is true": said(n_embd=True),
    "config: a width and a half": said(n_embd=16.5),
    "config: an unknown activation": said("activation_function", activation_function="evil"),
    "config: an activation of five megabytes": said(
        "activation_function", activation_function="x" * 5_000_000
    ),
    "config: an activation that is an object": said(activation_function={"a": 1}),
    "config: a flag that is a word": said(scale_attn_weights="yes"),
    "config: an architecture that is a list": said("model_type", model_type=["gpt2"]),
    "config: an architecture that is unknown": said("model_type", "'evil'", model_type="evil"),
    "config: an architecture of five megabytes": said("model_type", model_type="x" * 5_000_000),
    "config: an architecture that draws": said("model_type", model_type="\x1b[2J\r\n"),
    "config: half a character": said("model_type", model_type="\ud800"),
    "config: NaN": said(CONFIG, "NaN", layer_norm_epsilon=float("nan")),
    "config: ∞": said(CONFIG, "Infinity", layer_norm_epsilon=float("inf")),
    "config: 1e999": case(
        change(CONFIG, lambda raw: raw.replace(b"1e-05", b"1e999")), CONFIG, "1e999"
    ),
    "config: an epsilon below zero": said("norm_eps", layer_norm_epsilon=-1),
    "config: an epsilon of 400 digits": said(layer_norm_epsilon=10**400),
    "config: dropout of two": said("dropout", resid_pdrop=2),
    "config: a base of zero": said(
        "rotary_base", base="llama", rope_parameters={"rope_theta": 0.0}
    ),
    "config: a base of ∞": said(
        "Infinity", base="llama", rope_parameters={"rope_theta": float("inf")}
    ),
    "config: a stretch of zero": said(
        "factor", base="llama", rope_parameters={"rope_type": "linear", "factor": 0}
    ),
    "config: a ramp of no width": said(
        "rotary_scaling",
        base="llama",
        rope_parameters={
            "rope_type": "llama3",
            "factor": 2,
            "low_freq_factor": 4,
            "high_freq_factor": 4,
        },
    ),
    "config: an unknown stretch": said(
        "rope_type", "'yarn'", base="llama", rope_parameters={"rope_type": "yarn", "factor": 4}
    ),
    "config: a stretch that is a list": said("rope_parameters", base="llama", rope_parameters=[1]),
    "config: a stretch with more to say": said(
        "beta_fast",
        base="llama",
        rope_parameters={"rope_type": "linear", "factor": 2, "beta_fast": 32},
    ),
}
UNSUPPORTED = {
    "config: code": said("auto_map", "no code", auto_map=CODE),
    "config: code for the tokenizer": case(
        options(TOKENIZER_CONFIG, auto_map={"AutoTokenizer": ["evil.Tokenizer", None]}),
        "auto_map",
    ),
    "config: quantised": said("quantization_config", quantization_config={"bits": 4}),
    "config: an unknown option": said("bottleneck", bottleneck=5),
    "config: an option of five megabytes": case(
        edit(CONFIG, lambda fields: fields.update({"x" * 5_000_000: 1})), "is not known"
    ),
    "config: cross-attention": said(add_cross_attention=True),
    "config: scores by layer": said(scale_attn_by_inverse_layer_idx=True),
    "config: part of a head turned": said(base="llama", partial_rotary_factor=0.5),
    "config: a hundred thousand options": case(
        edit(CONFIG, lambda fields: fields.update({f"o{i}": 1 for i in range(100_000)})),
        "is not known",
    ),
    "config: of our own, an unknown field": said("evil", base="ours", evil=1),
    "config: of our own, a field of five megabytes": case(
        edit(CONFIG, lambda fields: fields.update({"x" * 5_000_000: 1})), CONFIG, base="ours"
    ),
    "config: of our own, another version": said("format version", base="ours", format_version=9),
    "config: of our own, a version of five megabytes": said(
        "format version", base="ours", format_version="x" * 5_000_000
    ),
    "config: of our own, no positions": said("position kind", base="ours", positions="evil"),
    "config: of our own, another sort of attention": said("attention", base="ours", attention=""),
    "config: of our own, 10^12 global tokens": said(
        "global_tokens", base="ours", attention="sliding", global_tokens=HUGE
    ),
    "config: of our own, a scale of 1e999": case(
        change(CONFIG, lambda raw: raw.replace(b'"output_scale": 1.0', b'"output_scale": 1e999')),
        CONFIG,
        base="ours",
    ),
}


def asked(*words: str, base: str = "gpt2", **changes: Any) -> Case:
    return said(*words, base=base, file=GENERATION, **changes)


GENERATIONS = {
    "generation: an end out of range": asked(eos_token_id=37),
    "generation: an end below zero": asked(eos_token_id=-1),
    "generation: no end": asked(eos_token_id=[]),
    "generation: an end in words": asked(eos_token_id="</s>"),
    "generation: half a million ends": asked(eos_token_id=[*range(500_000)]),
    "generation: a start out of range": asked(base="bart", decoder_start_token_id=1000),
    "generation: a first token out of range": asked(base="bart", forced_bos_token_id=1 << 70),
    "generation: a last token out of range": asked(base="bart", forced_eos_token_id=[2, 1000]),
    "generation: unspeakable tokens": asked(suppress_tokens=[1000]),
    "generation: unspeakable first tokens": asked(begin_suppress_tokens=[-40]),
    "generation: bad words": asked(bad_words_ids=[[3, 1000]]),
    "generation: an empty bad word": asked(bad_words_ids=[[]]),
    "generation: all tokens unspeakable": asked(suppress_tokens=[*range(37)]),
    "generation: 10^9 beams": asked(base="bart", num_beams=10**9),
    "generation: no beams": asked(base="bart", num_beams=0),
    "generation: a length of 10^12": asked(base="bart", max_length=HUGE),
    "generation: a length below zero": asked(base="bart", max_length=-3),
    "generation: a least length of 10^30": asked(base="bart", min_length=10**30),
    "generation: a penalty of NaN": asked("NaN", base="bart", length_penalty=float("nan")),
    "generation: a penalty of zero": asked(repetition_penalty=0.0),
    "generation: a penalty of ∞": asked("Infinity", repetition_penalty=float("inf")),
    "generation: repeats of less than none": asked(no_repeat_ngram_size=-3),
    "generation: groups of beams": asked(num_beam_groups=4),
    "generation: contrastive": asked(penalty_alpha=0.6),
    "generation: guided": asked(guidance_scale=1.5),
    "generation: watermarked": asked(watermarking_config={"bias": 2.5}),
    "generation: code": asked(custom_generate="evil/repo"),
    "generation: an unknown option": asked(evil=1),
    "generation: layers against layers": asked(dola_layers="high"),
    "generation: a bias of five megabytes": asked(sequence_bias="x" * 5_000_000),
    "generation: a bias of no sequence": asked(sequence_bias=[[[], 1.0]]),
    "generation: a bias out of range": asked(sequence_bias=[[[3, 1000], 1.0]]),
    "generation: a bias of 10^30": asked(sequence_bias=[[[3], 1e30]]),
    "generation: a bias of nothing": asked(sequence_bias=[[[3]]]),
    "generation: a source's penalty of zero": asked(encoder_repetition_penalty=0.0),
    "generation: a source's repeats of less than none": asked(encoder_no_repeat_ngram_size=-1),
    "generation: a decay from below zero": asked(exponential_decay_length_penalty=[-1, 1.1]),
    "generation: a decay by nothing": asked(exponential_decay_length_penalty=[1, 0.0]),
    "generation: half a decay": asked(exponential_decay_length_penalty=[1]),
}


def manifest(**entries: Any) -> Damage:
    return put(MANIFEST, {name.replace("__", "/"): value for name, value in entries.items()})


SUM = {"bytes": 5, "sha256": "0"}
OTHERS = {
    "manifest: of /etc/passwd": case(put(MANIFEST, {"/etc/passwd": SUM}), MANIFEST),
    "manifest: climbs": case(put(MANIFEST, {"../../etc/passwd": SUM}), MANIFEST),
    "manifest: a pipe": case(both(fifo("pipe"), put(MANIFEST, {"pipe": SUM})), "pipe"),
    "manifest: no numbers": case(
        put(MANIFEST, {WEIGHTS: {"bytes": "many", "sha256": 5}}), MANIFEST
    ),
    "manifest: a list": case(put(MANIFEST, []), MANIFEST),
    "manifest: a name of ten megabytes": case(put(MANIFEST, {"x" * 5_000_000: SUM}), MANIFEST),
    "manifest: a name that draws": case(put(MANIFEST, {"\x1b[2J": SUM}), "missing"),
    "manifest: a link out": case(link(MANIFEST, "/etc/passwd"), MANIFEST),
    "manifest: other sums": case(put(MANIFEST, {CONFIG: SUM}), CONFIG, "damaged"),
    "run: climbs": case(both(remove(CONFIG), put("run.json", {"best": "../gpt2"})), "checkpoint"),
    "run: leads to /etc": case(both(remove(CONFIG), put("run.json", {"last": "/etc"})), "run"),
    "run: a number": case(both(remove(CONFIG), put("run.json", {"best": 5})), "checkpoint"),
    "run: a name of ten megabytes": case(
        both(remove(CONFIG), put("run.json", {"best": "x" * 5_000_000})), "run"
    ),
}
CASES = {**JSONS, **SIZES, **TYPES, **UNSUPPORTED, **GENERATIONS, **OTHERS}
