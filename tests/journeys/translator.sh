# A TSV of pairs (PAIRS), one to learn from and a few lines to try it on.
head -n 3 "$PAIRS"
transduce train --pairs "$PAIRS" -o runs/translator --time "$TIME"
head -n 5 "$PAIRS" | cut -f 1 > in.txt
transduce translate -m runs/translator in.txt
cat in.txt | transduce translate -m runs/translator > out.txt
wc -l in.txt out.txt
transduce evaluate -m runs/translator
transduce checkpoint show runs/translator
transduce checkpoint convert runs/translator -o exported
transduce checkpoint verify runs/translator exported
transduce runs list
