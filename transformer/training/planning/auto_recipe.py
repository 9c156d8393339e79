"""A recipe for a run that was told little more than its text, from facts and measured steps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from tokenizer import Tokenizer
from tokenizer.special import BASIC

from ...config import TransformerConfig
from ...parameters import count_parameters
from ..adaptation import RATE_FACTORS, count_stand_in
from ..data_recipe import has_validation
from ..network_config import model_config
from ..objectives import OBJECTIVES
from ..objectives.rules import ObjectiveRules
from ..recipe import Recipe, has_key, merge
from ..recipe_resolution import load_tokenizer, recipe_of, tokenizer_options
from .deadline import steps_in
from .facts import TextFacts
from .fitting import EPOCHS, interval_for, most_steps, warmup_for
from .memory import available_memory, check_memory, training_memory
from .readable_length import readable_length
from .sizes import (
    CHARACTER_TOKENS,
    SizeCandidate,
    characters_per_token,
    dropout_for,
    further_learning_rate,
    layer_weights,
    vocabulary_size,
)
from .speed import RandomBatches, StepTime, measure_step

DEFAULT_TIME = "20m"  # of a run that is told neither steps nor epochs nor time
_BATCH_TOKENS, _GPU_BATCH_TOKENS = {"cpu": 2048}, 16_384
_MIN_BATCH_TOKENS = 256
_MEASURING = 0.01  # of the time, for each setting that is measured
_FASTER = 1.15  # times: bfloat16 is chosen from here on
_NEXT_SIZE = 3.0  # times the weights, about, from one preset to the next


@dataclass
class AutoRecipe:
    """A recipe that is completed: fields that were not `given` follow from facts about the text.

    `seconds` is the time there is, if any; of a `model` to start from, no size is chosen. Measures
    steps on the device, of sizes that may do.
    """

    given: Mapping[str, Any]
    facts: TextFacts
    device: torch.device
    seconds: float | None
    model: TransformerConfig | None = None  # that training starts from, tokenizer included
    tokenizer_path: str = ""  # to read the recipe's tokenizer by; "": as it is named
    anew: Mapping[str, Any] | None = None  # of the given: not from a run's own recipe; None: all
    chosen: dict[str, Any] = field(default_factory=dict)
    best: SizeCandidate = field(init=False)

    @cached_property
    def base(self) -> Recipe:
        """The recipe without choices."""
        return self.recipe()

    @property
    def rules(self) -> ObjectiveRules:
        """The rules of the recipe's objective."""
        return OBJECTIVES[self.base.objective].rules

    def recipe(self, **candidate: Any) -> Recipe:
        """Return the recipe of the defaults, the choices so far, a candidate's and the given."""
        return recipe_of(merge(self.chosen, candidate, self.given))

    def is_given(self, key: str) -> bool:
        """Return True for a dotted key that was given."""
        return has_key(self.given, key)

    def source_of(self, key: str) -> str:
        """Return where the value of a given key comes from, in words."""
        return "as told" if self.anew is None or has_key(self.anew, key) else "as before"

    def complete(self) -> Recipe:
        """Return the recipe with all choices made."""
        self.chosen = merge(self.chosen, self._text())
        self.chosen = merge(self.chosen, self._training())
        self.best = self._size()
        self.chosen = merge(self.chosen, {"training": {"precision": self.best.precision}})
        if self.model is None:
            preset = str(self.best.recipe.model["preset"])
            size = {"model": {"preset": preset}}
            self.chosen = merge(self.chosen, size, self._fields_of(preset))
        steps = self.steps(self.recipe())
        follow = {
            "training": {"warmup": warmup_for(steps)},
            "validation": {"every": interval_for(steps)},
        }
        self.chosen = merge(self.chosen, follow)
        return self.recipe()

    def steps(self, recipe: Recipe) -> int:
        """Estimate the steps of a recipe, of which epochs and time may decide."""
        return min(self.bounds(recipe).values(), default=recipe.training.steps)

    def bounds(self, recipe: Recipe) -> dict[str, int]:
        """Return the steps that each measure of length allows, about, by its key."""
        training, bounds = recipe.training, {}
        if training.epochs:
            free = () if self.is_given(EPOCHS) else (EPOCHS,)
            bounds["epochs"] = most_steps(training, self.batches_per_epoch(recipe), free=free)
        if self.seconds is not None and training.time:
            bounds["time"] = steps_in(self.seconds, self.best.step_seconds)
        return bounds

    def config(self, recipe: Recipe) -> TransformerConfig:
        """Return the model of a recipe, with as many tokens as its tokenizer may have."""
        if self.model is not None:
            return self.model
        size = self.vocabulary(recipe)
        return model_config(recipe, recipe.model.get("vocab_size") or size)

    def vocabulary(self, recipe: Recipe) -> int:
        """Return the number of tokens that a recipe's tokenizer has at most."""
        if self.model is not None:
            return self.model.vocab_size
        if self._tokenizer is not None:
            return self._tokenizer.vocab_size
        size, options = recipe.tokenizer.vocab_size, tokenizer_options(recipe)
        if options.kind in CHARACTER_TOKENS:
            added = len(BASIC) + len(options.special) + len(options.reserved)
            size = min(size, self.facts.alphabet + added)
        return size

    @cached_property
    def _tokenizer(self) -> Tokenizer | None:
        """The tokenizer that was given, if any."""
        path = self.tokenizer_path or self.base.tokenizer.path
        return load_tokenizer(path) if path else None

    def parameters(self, recipe: Recipe) -> int:
        """Count the weights of a recipe's model, about."""
        return count_parameters(self.config(recipe))

    def _text(self) -> dict[str, Any]:
        """Choose the tokenizer's size, and the part of the text to validate on."""
        kind = self.base.tokenizer.kind
        fields = {} if self.model is None else readable_length(self.given, self.model)
        if self.model is None and not self.base.tokenizer.path and kind != "char":
            size = vocabulary_size(self.rules, self.facts, spells_bytes=kind == "byte-bpe")
            fields["tokenizer"] = {"vocab_size": size}
        if not has_validation(self.base.data) and not self.is_given("data.valid_fraction"):
            share = self.rules.validation_share(self.facts)
            fields = merge(fields, {"data": {"valid_fraction": share}})
        return fields

    def _training(self) -> dict[str, Any]:
        """Choose the batch, the schedule and what ends the run."""
        training: dict[str, Any] = {
            "batch_tokens": self._batch_tokens(),
            "schedule": "wsd",
            **self.rules.training,
        }
        if not any(self.is_given(f"training.{key}") for key in ("steps", "epochs", "time")):
            training["time"] = DEFAULT_TIME
        if not any(self.is_given(f"training.{key}") for key in ("steps", "epochs")):
            training["epochs"] = self.rules.epochs
        if self.model is not None:
            rate = further_learning_rate(self.rules, self.model)
            training["learning_rate"] = rate * RATE_FACTORS[self.base.adapter.kind]
        return {"training": training, "validation": {"patience": 8, "max_lines": 500}}

    def _batch_tokens(self) -> int:
        """Choose the tokens of a batch: a power of two, the device's or less."""
        tokens = self.tokens(self.recipe()) / self.rules.sides
        power = 1 << max(0, math.floor(math.log2(max(1.0, tokens / self.rules.batches))))
        most = _BATCH_TOKENS.get(self.device.type, _GPU_BATCH_TOKENS)
        return min(max(power, _MIN_BATCH_TOKENS), most)

    def _fields_of(self, preset: str) -> dict[str, Any]:
        """Choose what depends on the size of the model."""
        rules = self.rules
        trial = self.recipe(model={"preset": preset})
        weights = layer_weights(model_config(trial, 1))
        dropout = rules.dropout
        if dropout is None:
            dropout = dropout_for(self.tokens(trial), weights)
        fields: dict[str, Any] = {"model": {"dropout": dropout}}
        if preset in rules.presets:
            rate = rules.learning_rates[rules.presets.index(preset)]
            fields["training"] = {"learning_rate": rate}
            if rules.factors and not self.is_given("training.freeze"):
                fields["training"]["learning_rates"] = dict(rules.factors)
        return fields

    def tokens(self, recipe: Recipe) -> float:
        """Estimate the tokens of the text, by a tokenizer of the recipe's size."""
        options = tokenizer_options(recipe)
        length = characters_per_token(options.kind, self.vocabulary(recipe), self.facts)
        return self.facts.characters / length

    def batches_per_epoch(self, recipe: Recipe) -> float:
        """Estimate the batches of an epoch, padding counted."""
        # of the text that was read, a share that is given is left out already
        held_out = 0.0 if self.is_given("data.valid_fraction") else recipe.data.valid_fraction
        trained = 1 - held_out
        facts = self.facts._replace(lines=round(trained * self.facts.lines))
        tokens, batch = trained * self.tokens(recipe), recipe.training.batch_tokens
        return max(1, round(self.rules.batches_per_epoch(facts, tokens, batch)))

    def _size(self) -> SizeCandidate:
        """Choose the largest preset that the text and the time are enough for."""
        if self.model is not None or "preset" in self.given.get("model", {}):
            return self._candidate(str(self.base.model.get("preset", "")))
        best = self._candidate(self.rules.presets[0])
        for preset in self.rules.presets[1:]:
            config = model_config(self.recipe(model={"preset": preset}), 1)
            if not self._may_do(config, best):
                break
            candidate = self._candidate(preset)
            if not self._reads_enough(candidate):
                break
            best = candidate
        return best

    def _may_do(self, config: TransformerConfig, smaller: SizeCandidate) -> bool:
        """Return False if a size is too large for the text, the memory or, surely, the time."""
        weights = layer_weights(config)
        if weights > self.rules.weights * self.tokens(smaller.recipe):
            return False
        free = available_memory(self.device)
        needed = training_memory(config, smaller.recipe.training).total
        if free is not None and needed > free / 2:
            return False
        if self.seconds is None:
            return weights <= _NEXT_SIZE * 1e7
        ratio = weights / max(1, layer_weights(smaller.config)) / _NEXT_SIZE
        read = self._tokens_read(smaller) / max(1.0, ratio)
        return read >= self.rules.reading * weights

    def _reads_enough(self, candidate: SizeCandidate) -> bool:
        if self.seconds is None:
            return True
        read = self._tokens_read(candidate)
        return read >= self.rules.reading * layer_weights(candidate.config)

    def _tokens_read(self, candidate: SizeCandidate) -> float:
        batches = self.batches_per_epoch(candidate.recipe)
        epochs = candidate.recipe.training.epochs or float("inf")
        return candidate.tokens_read(self.seconds or 0.0, batches, epochs)

    def _candidate(self, preset: str) -> SizeCandidate:
        """Measure a size, on a CPU in both precisions."""
        recipe = self.recipe(**_size_fields(preset))
        config = self.config(recipe)
        check_memory(config, recipe.training, self.device, trained=count_stand_in(config, recipe))
        times = {name: self._measure(preset, config, name) for name in self._precisions()}
        first, *others = times
        precision, gain = first, 1.0
        for name in others:
            gain = times[first].fastest / times[name].fastest
            precision = name if gain > _FASTER else first
        return SizeCandidate(recipe, config, times[precision].median, precision, gain)

    def _precisions(self) -> tuple[str, ...]:
        """Return the precisions to compare; the first is kept if no other is clearly faster."""
        if self.is_given("training.precision"):
            return (self.base.training.precision,)
        return ("auto", "bfloat16") if self.device.type == "cpu" else ("auto",)

    def _measure(self, preset: str, config: TransformerConfig, precision: str) -> StepTime:
        recipe = self.recipe(**_size_fields(preset), training={"precision": precision})
        context = recipe.training.context
        length = self.rules.row_length(self.facts, self.tokens(recipe), context)
        data = RandomBatches(
            config,
            length=length,
            max_tokens=recipe.training.batch_tokens,
            predicted=self.rules.predicted,
        )
        seconds = 3.0 if self.seconds is None else min(3.0, _MEASURING * self.seconds)
        return measure_step(config, recipe, data, device=self.device, seconds=seconds)


def _size_fields(preset: str) -> dict[str, Any]:
    """Return the fields of a size; none for "", a model to start from."""
    return {"model": {"preset": preset}} if preset else {}
