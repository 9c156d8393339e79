# A published model's folder (MODEL), here one that reads: vectors of sentences.
transduce checkpoint show "$MODEL"
printf 'A dog runs.\nA cat sleeps.\nStocks fell again.\n' > sentences.txt
transduce embed -m "$MODEL" --json sentences.txt | cut -c 1-100
transduce embed -m "$MODEL" -o vectors.npy sentences.txt
python -c "import numpy; v = numpy.load('vectors.npy'); print((v @ v.T).round(2))"
transduce checkpoint convert "$MODEL" -o exported
transduce checkpoint verify "$MODEL" exported
