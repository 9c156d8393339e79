"""Tags that a tagger gives words, scored by the words' own."""

from tokenizer import CorpusCounts
from transformer.abilities import require_ability
from transformer.labels import TaggedFile, read_tagged

from ..io.tag_scores import TagScorer
from ..render.evaluation import Evaluation
from ..render.tag_scores import evaluation_of_tags
from .job import Job


def evaluate_tags(job: Job) -> Evaluation:
    """Evaluate a tagger on a file of words with tags."""
    options, read = job.options, CorpusCounts()
    loaded = job.load_only("--tagged")
    require_ability(loaded.config, "evaluate --tagged", loaded.named_folder)
    columns = tuple(options.columns.split(",")) if options.columns else ()
    file = TaggedFile(str(options.tagged), columns)
    scorer = TagScorer(loaded, options.batch_tokens, options.save_outputs, job.quiet)
    return evaluation_of_tags(scorer.score([*read_tagged(file, read)], file.path, read))
