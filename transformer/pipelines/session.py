"""Sessions: the one place where arguments, a model's own settings and defaults meet."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace

import torch

from ..abilities import require_ability
from ..decoding import (
    Engine,
    Hypothesis,
    ModelStepper,
    Request,
    SearchParameters,
    decode_all,
)
from ..decoding.constraints.bad_words import word_forms
from ..decoding.steppers import EnsembleStepper
from ..errors import ConfigError
from ..loading import LoadedModel, PoolingConfig, has_pooling, read_pooling_config
from ..loading.inference import load_for_inference
from .arguments import (
    ClassifyArguments,
    EmbedArguments,
    FillArguments,
    GenerateArguments,
    ScoreArguments,
    SpeculationArguments,
    TagArguments,
    TranslateArguments,
)
from .arguments.generate import TEMPERATURE
from .arguments.search import SearchArguments, beam_or_greedy
from .classification import LabelScore, classify_lines
from .compatibility import check_ensemble
from .embedding import EmbeddingOutput, check_pooling, choose_prompt, embed_lines
from .engines import plain_engine
from .filling import MaskFills, fill_lines
from .generation import GenerationTask, encode_prompt
from .line_pipeline import decode_lines
from .n_best import with_spare_hypotheses
from .notices import REMEDIED
from .records import Answer, Line, LineSource, Output
from .scoring import score_lines
from .search_settings import default_beams, scoring_parameters, search_parameters
from .speculation import count_drafts, speculative_search
from .streaming import stream_ids
from .tagging import TaggedSpan, tag_lines
from .translation import TranslationTask
from .unknown import unwritable


class Session:
    """A loaded model, or several that decode together, with what they can do.

    Each method may be called from several threads: each call has engines of its own, which share
    the weights. All raise ConfigError for a model or arguments that cannot do it, before the first
    line is read; `counts` is incremented by what the user should be told.
    """

    def __init__(
        self,
        models: Sequence[LoadedModel],
        speculation: SpeculationArguments | None = None,
        *,
        max_engines: int | None = None,
        processes: bool = False,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        """Prepare models, for one engine a CPU core and at most `max_engines`.

        With `processes`, engines may run in processes of their own: nothing else may use torch
        when these begin. Once `stop()` is True, decoding of lines ends early, without an
        error. Raises ConfigError for models that cannot be combined.
        """
        self._models = list(models)
        # The model whose limits apply, with the settings of the first.
        shortest = check_ensemble(models) if len(models) > 1 else models[0]
        first = models[0]
        self.lead = replace(shortest, generation=first.generation, notices=first.notices)
        self._threads, self._stop = torch.get_num_threads(), stop
        engines = self._threads if self.lead.device.type == "cpu" else 1
        self._num_engines = min(engines, max_engines or engines)
        self._speculation = speculation if speculation and speculation.is_enabled else None
        self._processes = processes and self._speculation is None  # which counts drafts here
        self._draft = self._load_draft()

    def _load_draft(self) -> LoadedModel | None:
        """Load the draft model, if any, on the device and with the dtype of the model."""
        if self._speculation is None:
            return None
        if len(self._models) > 1:
            raise ConfigError("--draft and --lookup work with one model; several were given")
        folder, lead = self._speculation.draft, self.lead
        if folder is None:
            return None
        return load_for_inference(folder, device=str(lead.device), dtype=lead.dtype)

    def warnings(self, arguments: SearchArguments) -> list[str]:
        """Return a sentence for each argument without effect on what this model writes.

        Before them come those for settings of its own which no argument takes up.
        """
        tokenizer, size = self.lead.target_tokenizer, self.lead.config.vocab_size
        words = [word_forms(word, tokenizer) for word in arguments.bad_word or []]
        texts = {"--stop": [[text] for text in arguments.stop or []], "--bad-word": words}
        sentences = [] if arguments.requested_search else list(self.lead.notices)
        drafts = () if self._draft is None else self._draft.dtype_notices
        sentences += [each for each in drafts if each not in self.lead.dtype_notices]
        sentences += unwritable(tokenizer, size, texts)
        grammar = arguments.grammar
        if grammar and (unused := grammar.unused_texts(tokenizer, size)):
            shown = ", ".join(repr(text[:60]) for text in unused[:5])
            others = f" (and {len(unused) - 5:,} more)" if len(unused) > 5 else ""
            reason = f"{shown}{others} has no effect: the model cannot write it"
            sentences.append(f"{grammar.name}: {reason}")
        search = arguments.requested_search or arguments.default_search
        if arguments.seed and (search or beam_or_greedy(default_beams(self.lead))) == "greedy":
            sentences.append(f"--seed {arguments.seed} has no effect: greedy search draws nothing")
        return sentences

    def translate(
        self, source: LineSource, arguments: TranslateArguments, counts: Counter[str]
    ) -> Iterator[Answer[Output]]:
        """Translate any number of lines, in order and in bounded memory."""
        parameters = self.translation_parameters(arguments)
        task = TranslationTask(self.lead, arguments, parameters)
        engines = self._engines(with_spare_hypotheses(parameters))
        return self._decode(source, task, engines, arguments.batch_tokens, counts)

    def generate(
        self,
        source: LineSource,
        arguments: GenerateArguments,
        counts: Counter[str],
        *,
        allow_empty: bool = False,
    ) -> Iterator[Answer[Output]]:
        """Continue any number of prompts, in order and in bounded memory.

        An empty prompt is continued with `allow_empty`, else its answer is empty.
        """
        parameters = self.generation_parameters(arguments)
        counts[REMEDIED] += parameters.can_stream
        task = GenerationTask(self.lead, arguments, parameters, allow_empty=allow_empty)
        engines = self._engines(with_spare_hypotheses(parameters))
        return self._decode(source, task, engines, arguments.batch_tokens, counts)

    def stream(
        self, prompt: str, arguments: GenerateArguments, counts: Counter[str], *, number: int = 0
    ) -> Generator[str, None, None]:
        """Continue a prompt piece by piece; see `stream_ids`."""
        ids, continuing = encode_prompt(self.lead, prompt), bool(prompt)
        return self.stream_ids(ids, prompt, arguments, counts, number=number, continuing=continuing)

    def stream_ids(
        self,
        ids: list[int],
        prompt: str,
        arguments: GenerateArguments,
        counts: Counter[str],
        *,
        number: int = 0,
        continuing: bool = True,
    ) -> Generator[str, None, None]:
        """Continue the ids of a prompt piece by piece; with `continuing` they are text.

        `prompt` is the text of these ids, or the part of it that is new. What is drawn depends on
        the seed and the prompt's number, as for lines.
        """
        parameters = self.generation_parameters(arguments)
        task = GenerationTask(self.lead, arguments, parameters, allow_empty=True)
        if not parameters.can_stream:
            raise ConfigError("beam search and several samples cannot be streamed")
        counts[REMEDIED] += 1
        engine = self._build_engine(parameters)
        pieces = stream_ids(
            self.lead,
            ids,
            task,
            engine,
            counts,
            line=Line(number, prompt),
            continuing=continuing,
            threads=self._threads,
        )
        return count_drafts(pieces, [engine], counts)

    def score(
        self, source: LineSource, arguments: ScoreArguments, counts: Counter[str]
    ) -> Iterator[Answer[Output]]:
        """Score any number of lines by their likelihood, in order and in bounded memory."""
        parameters = scoring_parameters(self.lead, arguments)
        return score_lines(self.lead, source, arguments, parameters, counts)

    def embed(
        self, source: LineSource, arguments: EmbedArguments, counts: Counter[str]
    ) -> Iterator[Answer[EmbeddingOutput]]:
        """Embed any number of lines, in order and in bounded memory."""
        pooling = self._pooling(arguments)
        prompt = choose_prompt(pooling, arguments.prompt, arguments.prompt_name)
        lead, budget, first = self.lead, arguments.batch_tokens, arguments.global_tokens
        return embed_lines(
            lead, source, pooling, prompt=prompt, global_tokens=first, budget=budget, counts=counts
        )

    def classify(
        self, source: LineSource, arguments: ClassifyArguments, counts: Counter[str]
    ) -> Iterator[Answer[list[LabelScore]]]:
        """Classify any number of lines, in order and in bounded memory."""
        return classify_lines(self.lead, source, arguments, counts)

    def tag(
        self, source: LineSource, arguments: TagArguments, counts: Counter[str]
    ) -> Iterator[Answer[list[TaggedSpan]]]:
        """Tag any number of lines, in order and in bounded memory."""
        return tag_lines(self.lead, source, arguments, counts)

    def fill(
        self, source: LineSource, arguments: FillArguments, counts: Counter[str]
    ) -> Iterator[Answer[MaskFills]]:
        """Fill in the masks of any number of lines, in order and in bounded memory."""
        return fill_lines(self.lead, source, arguments, counts)

    def vector_size(self, arguments: EmbedArguments) -> int:
        """Return the number of dimensions of the vectors that `embed` computes."""
        return check_pooling(self.lead, self._pooling(arguments))

    def _pooling(self, arguments: EmbedArguments) -> PoolingConfig:
        is_pooled = arguments.pooling is not None or has_pooling(self.lead.folder)
        folder = self.lead.named_folder
        require_ability(self.lead.config, "embed", folder, is_pooled=is_pooled)
        pooling = read_pooling_config(self.lead.folder)
        normalize = pooling.normalize if arguments.normalize is None else arguments.normalize
        return pooling._replace(kind=arguments.pooling or pooling.kind, normalize=normalize)

    @torch.inference_mode()
    def decode(
        self, requests: Sequence[Request], parameters: SearchParameters
    ) -> list[list[Hypothesis]]:
        """Decode requests side by side in the caller's thread; return their hypotheses."""
        return decode_all(*self._build_engine(parameters), requests)

    def translation_parameters(self, arguments: TranslateArguments) -> SearchParameters:
        """Return the parameters of the search for translations."""
        beams = default_beams(self.lead)
        return search_parameters(
            self.lead,
            arguments,
            default=beam_or_greedy(max(beams, arguments.num_hypotheses)),
            beams=beams,
            keep_all=bool(arguments.coverage_penalty),
        )

    def generation_parameters(self, arguments: GenerateArguments) -> SearchParameters:
        """Return the parameters of the search for continuations."""
        return search_parameters(
            self.lead,
            arguments,
            default=arguments.default_search,
            temperature=TEMPERATURE,
        )

    def _engines(self, parameters: SearchParameters) -> list[Engine]:
        """Build an engine for each of the CPU's cores; a single one on a GPU.

        Two batches with a core each are faster than one batch on both.
        """
        return [self._build_engine(parameters) for _ in range(self._num_engines)]

    def _build_engine(self, parameters: SearchParameters) -> Engine:
        if self._speculation is not None:
            count = self._speculation.draft_tokens
            search = speculative_search(parameters, self.lead, self._draft, draft_tokens=count)
            return Engine(ModelStepper(self.lead.model), search)
        if len(self._models) > 1:
            steppers = [ModelStepper(loaded.model) for loaded in self._models]
            return Engine(EnsembleStepper(steppers), parameters.build())
        return plain_engine(self.lead, parameters)

    def _decode(
        self,
        source: LineSource,
        task: TranslationTask | GenerationTask,
        engines: list[Engine],
        budget: int,
        counts: Counter[str],
    ) -> Iterator[Answer[Output]]:
        answers = decode_lines(
            source,
            task,
            engines,
            budget=budget,
            counts=counts,
            threads=self._threads,
            processes=self._processes and not task.computes,
            stop=self._stop,
        )
        return count_drafts(answers, engines, counts)
