#!/bin/sh
# The whole journey twice, on text that is made here: raw text, training, a pipe.
set -eu
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
if [ -t 2 ]; then on='\033[1m' off='\033[0m'; else on='' off=''; fi
say() { printf "\n${on}%s${off}\n" "$1" >&2; }

say "1. A translator of dates: learn from 40,000 pairs"
python demo/dates.py "$folder/dates"
transduce train dates -o "$folder/runs/dates" \
    --source "$folder/dates/train.en" --target "$folder/dates/train.iso" \
    --valid-source "$folder/dates/test.en" --valid-target "$folder/dates/test.iso"

say "   … and translate dates that it has never seen, from a pipe"
head -n 8 "$folder/dates/test.en" | transduce translate -q -m "$folder/runs/dates" \
    > "$folder/first"
head -n 8 "$folder/dates/test.en" | paste "$folder/first" -
transduce translate -q -m "$folder/runs/dates" < "$folder/dates/test.en" > "$folder/answers"
paste "$folder/answers" "$folder/dates/test.iso" |
    awk -F '\t' '$1 == $2 { right++ } END { printf "exact match: %d of %d\n", right, NR }'

say "2. A language model: learn from the docstrings of this Python"
python demo/docstrings.py "$folder/docstrings.txt"
transduce train docstrings -o "$folder/runs/docstrings" \
    --text "$folder/docstrings.txt"

say "   … and continue a prompt from a pipe"
echo "Return the number of" | transduce generate -q -m "$folder/runs/docstrings" -n 80
