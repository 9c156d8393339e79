# A book (BOOK): a language model that goes on with a prompt.
head -c 300 "$BOOK"
transduce train --text "$BOOK" -o runs/writer --time "$TIME"
head -c 40 "$BOOK" > prompt.txt
transduce generate -m runs/writer -n 60 < prompt.txt
transduce generate "The" -m runs/writer -n 60 --seed 1
transduce evaluate -m runs/writer
transduce checkpoint show runs/writer
transduce runs list
