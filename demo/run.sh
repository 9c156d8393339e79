#!/bin/sh
# The whole journey twice, on text that is made here: raw text, training, a pipe. Then a report.
set -eu
folder=runs/demo number=1
while [ -e "$folder" ]; do number=$((number + 1)) folder="runs/demo-$number"; done
mkdir -p "$folder/written"
if [ -t 1 ]; then on='\033[1m' off='\033[0m'; else on='' off=''; fi
say() { printf "\n${on}%s${off}\n\n" "$1"; }
run() { printf '$ %s\n' "$*" >&2 && "$@"; } # shows a command, then runs it
program="$(command -v transduce)"
program="${program#"$PWD/"}" # as it can be typed here

say "1. A translator of dates learns from 40,000 pairs"
python demo/dates.py "$folder/text/dates"
began=$(date +%s)
run transduce train dates -o "$folder/dates" \
    --source "$folder/text/dates/train.en" --target "$folder/text/dates/train.iso" \
    --valid-source "$folder/text/dates/valid.en" --valid-target "$folder/text/dates/valid.iso"
dates_seconds=$(($(date +%s) - began))

say "2. A language model learns the names of Unicode's characters"
python demo/character_names.py "$folder/text/names"
began=$(date +%s)
run transduce train character-names -o "$folder/names" \
    --text "$folder/text/names/train.txt" --valid-text "$folder/text/names/valid.txt"
names_seconds=$(($(date +%s) - began))

say "3. Both write, from a pipe"
run transduce translate -q -m "$folder/dates" "$folder/text/dates/test.en" \
    -o "$folder/written/dates.txt"
run transduce generate -q -m "$folder/names" --lines --json --n-best 2 -t 0.7 --seed 1 \
    -f "$folder/text/names/beginnings.txt" -o "$folder/written/names.jsonl"
run transduce generate -q -m "$folder/names" --json --n-best 200 --seed 1 \
    -o "$folder/written/drawn.json" < /dev/null
run transduce evaluate -q -m "$folder/names" --json > "$folder/written/evaluation.json"

python demo/report.py "$folder" "$program" "$dates_seconds" "$names_seconds"
