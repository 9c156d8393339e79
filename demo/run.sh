#!/bin/sh
# The whole journey twice, on text that is made here: raw text, training, a pipe.
set -eu
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
bold() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }
[ -t 2 ] || bold() { printf '\n%s\n' "$*" >&2; }

bold "1. A translator of dates: learn from 40,000 pairs"
python demo/dates.py "$folder/dates"
transduce train recipes/dates.toml -o "$folder/runs/dates" \
    --source "$folder/dates/train.en" --target "$folder/dates/train.iso" \
    --valid-source "$folder/dates/test.en" --valid-target "$folder/dates/test.iso"

bold "   … and translate dates that it has never seen, from a pipe"
head -n 5 "$folder/dates/test.en" | transduce translate -q -m "$folder/runs/dates" |
    paste "$folder/dates/test.en" - | head -n 5
transduce translate -q -m "$folder/runs/dates" < "$folder/dates/test.en" > "$folder/answers"
paste "$folder/answers" "$folder/dates/test.iso" |
    awk -F '\t' '$1 == $2 { right++ } END { printf "exact match: %d of %d\n", right, NR }'

bold "2. A language model: learn from the docstrings of this Python"
python demo/docstrings.py "$folder/docstrings.txt"
transduce train recipes/docstrings.toml -o "$folder/runs/docstrings" \
    --text "$folder/docstrings.txt"

bold "   … and continue a prompt from a pipe"
echo "Return the number of" | transduce generate -q -m "$folder/runs/docstrings" -n 80
