"""Glossaries on real text: how many terms are used, where they stand, and what BLEU becomes.

    python -m tests.benchmarks.glossary -m MODEL SOURCE REFERENCE [--align SOURCE TARGET]

Of lines that are drawn by a seed, each gets a glossary of one entry: a word of its reference that
the plain translation lacks in any form, and the word of the source that it is aligned to.
Alignments are those of IBM model 1, both ways, over the pairs given and those of --align, which
should be the training data. All other lines are translated with the whole glossary at once: those
that have no entry, or whose plain translation has the term already, must not change.
"""

import argparse
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tokenizer import TextFile, read_lines
from tokenizer.scripts import SENTENCE_ENDS
from transformer.evaluation import translation_scores
from transformer.loading import load_model
from transformer.pipelines.arguments import TranslateArguments
from transformer.pipelines.glossary import split_words
from transformer.pipelines.phrases import Phrase, are_forms_of_one
from transformer.pipelines.records import IterableSource
from transformer.pipelines.session import Session

ITERATIONS, NULL = 4, "<null>"
MIN_PROBABILITY, MIN_LETTERS, MAX_FREQUENCY = 0.02, 4, 0.05  # of a term; per line of its language


class Term(NamedTuple):
    """A line, and the entry of its glossary."""

    number: int
    source: str
    target: str


def words(text: str) -> list[str]:
    return [word.text for word in split_words(text)]


def ibm1(pairs: Sequence[tuple[list[str], list[str]]]) -> dict[tuple[str, str], float]:
    """Return p(target word | source word), by expectation maximisation."""
    probs: dict[tuple[str, str], float] = defaultdict(lambda: 1.0)
    for _ in range(ITERATIONS):
        counts: dict[tuple[str, str], float] = defaultdict(float)
        totals: dict[str, float] = defaultdict(float)
        for source, target in pairs:
            for word in target:
                cells = [(word, other) for other in (NULL, *source)]
                total = sum(probs[cell] for cell in cells)
                for cell in cells:
                    share = probs[cell] / total
                    counts[cell] += share
                    totals[cell[1]] += share
        probs = defaultdict(lambda: 1e-9, {c: n / totals[c[1]] for c, n in counts.items()})
    return probs


def draw_terms(
    sources: Sequence[str],
    references: Sequence[str],
    plain: Sequence[str],
    more: Sequence[tuple[str, str]],
    count: int,
) -> list[Term]:
    """Draw lines, and for each a word of the reference that the plain translation lacks."""
    own = list(zip(sources, references, strict=True))
    pairs = [(words(s.lower()), words(t.lower())) for s, t in (*own, *more)]
    forward, backward = ibm1(pairs), ibm1([(target, source) for source, target in pairs])
    frequency = Counter(word for _, target in pairs for word in set(target))
    by_line: dict[int, list[Term]] = {}
    for number, (source, reference) in enumerate(own):
        folded, target = pairs[number]
        written = set(words(plain[number].lower()))
        for word, lower in zip(words(reference), target, strict=True):
            best = max([NULL, *folded], key=lambda s, w=lower: forward[w, s])
            if best is NULL or max(target, key=lambda t, s=best: backward[s, t]) != lower:
                continue
            is_known = forward[lower, best] > MIN_PROBABILITY and folded.count(best) == 1
            is_content = len(word) >= MIN_LETTERS and frequency[lower] < MAX_FREQUENCY * len(pairs)
            is_new = not any(w == lower or are_forms_of_one(w, lower) for w in written)
            if is_known and is_content and is_new:
                form = words(source)[folded.index(best)]
                by_line.setdefault(number, []).append(Term(number, form, word))
    chance = random.Random(1)
    drawn = chance.sample(sorted(by_line), min(count, len(by_line)))
    return [chance.choice(by_line[number]) for number in sorted(drawn)]


def translate(session: Session, lines: Sequence[str], entries: Sequence[Term]) -> list[str]:
    """Translate lines with a glossary, or without one."""
    counts: Counter[str] = Counter()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as file:
        file.write("".join(f"{term.source}\t{term.target}\n" for term in entries))
        file.flush()
        arguments = TranslateArguments(glossary=Path(file.name) if entries else None)
        answers = session.translate(IterableSource(lines), arguments, counts)
        return [answer.outputs[0].text if answer.outputs else "" for answer in answers]


def is_after_end(text: str, term: str) -> bool:
    """Return True if the term comes only after the end of a sentence that ends the plain text."""
    before = text[: max(0, text.rfind(term))].rstrip()
    return bool(before) and before[-1] in SENTENCE_ENDS


def bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    return translation_scores(texts, references)["bleu"].value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--align", type=Path, nargs=2)
    parser.add_argument("--terms", type=int, default=100)
    parser.add_argument("--show", type=int, default=10, help="sample outputs to print")
    options = parser.parse_args()
    read = {
        p: list(read_lines(TextFile(p, plain=True))) for p in (options.source, options.reference)
    }
    sources, references = read.values()
    more = [[*read_lines(TextFile(p, plain=True))] for p in options.align or ()]
    session = Session([load_model(options.model)])
    plain = translate(session, sources, [])
    terms = draw_terms(sources, references, plain, list(zip(*more, strict=True)), options.terms)
    report_terms(session, list(zip(sources, references, plain, strict=True)), terms, options.show)
    report_others(session, sources, plain, terms)


def report_terms(
    session: Session, lines: Sequence[tuple[str, str, str]], terms: Sequence[Term], show: int
) -> None:
    """Print what became of the lines with terms, and a few of them."""
    sources, references, plain = zip(*lines, strict=True)
    texts = [translate(session, [sources[term.number]], [term])[0] for term in terms]
    used = [t.target.lower() in map(str.lower, words(x)) for t, x in zip(terms, texts, strict=True)]
    late = sum(is_after_end(text, term.target) for text, term in zip(texts, terms, strict=True))
    pairs = [(plain[term.number], references[term.number]) for term in terms]
    print(f"terms used: {sum(used)} of {len(terms)}; after the end of the sentence: {late}")
    print(f"BLEU of these lines: {bleu(*zip(*pairs, strict=True)):.2f} without the terms,", end=" ")
    print(f"{bleu(texts, [reference for _, reference in pairs]):.2f} with them")
    step = max(1, len(terms) // max(1, show))
    for term, text in list(zip(terms, texts, strict=True))[::step][:show]:
        print(f"\n{term.source} → {term.target}\n  {sources[term.number]}")
        print(f"  plain: {plain[term.number]}\n  terms: {text}")


def report_others(
    session: Session, sources: Sequence[str], plain: Sequence[str], terms: Sequence[Term]
) -> None:
    """Print how many of the lines without terms changed."""
    drawn = {term.number for term in terms}
    entries = list({term.source.lower(): term for term in terms}.values())
    others = [number for number in range(len(sources)) if number not in drawn]
    phrase = {t: Phrase(session.lead.target_tokenizer, t.target) for t in entries}
    tokens = {n: set(words(sources[n].lower())) for n in others}
    free = {
        n
        for n in others
        if all(phrase[t].is_in(plain[n]) for t in entries if t.source.lower() in tokens[n])
    }
    whole = dict(
        zip(others, translate(session, [sources[n] for n in others], entries), strict=True)
    )
    changed = sum(whole[n] != plain[n] for n in free)
    print(f"other lines: {len(others)}; without a missing term: {len(free)}, changed: {changed}")


if __name__ == "__main__":
    main()
