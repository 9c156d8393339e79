"""llama.cpp with the weights of a published GPT-2, by its Python binding.

Both packages are optional: `pip install llama-cpp-python gguf` builds the first.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

_CONV1D = ("c_attn.weight", "c_proj.weight", "c_fc.weight")  # inputs first, in GPT-2's files


def write_gguf(folder: Path, path: Path, number_type: str) -> Path:
    """Write the weights of a GPT-2 folder in F32 or Q8_0, as llama.cpp's own tools have them."""
    import gguf

    config = json.loads((folder / "config.json").read_text())
    layers, kind = config["n_layer"], gguf.GGMLQuantizationType[number_type]
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GPT2, layers)
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(layers)
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(config["vocab_size"])
    for name, tensor in load_file(folder / "model.safetensors").items():
        values = (tensor.T if name.endswith(_CONV1D) else tensor).contiguous().numpy()
        to = names.get_name(name, try_suffixes=(".weight", ".bias"))
        rounded = values.ndim == 2 and not to.startswith("position")
        stored = kind if rounded else gguf.GGMLQuantizationType.F32
        writer.add_tensor(to, gguf.quants.quantize(values, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class LlamaCppPeer:
    """A generator of equally long texts: all rows in one context, or a part in each worker's."""

    def __init__(self, path: Path, *, workers: int = 1, flash: bool = False) -> None:
        """Use all of torch's threads: by one worker, or by as many workers."""
        import llama_cpp

        self._kind, self._workers, self._flash = llama_cpp, workers, flash
        self._threads = torch.get_num_threads() if workers == 1 else 1
        self._silence = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self._silence, None)
        llama_cpp.llama_backend_init()
        settings = llama_cpp.llama_model_default_params()
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), settings)
        assert self._model is not None, f"llama.cpp does not load {path}"

    def generating(self, prompt_BT: torch.Tensor, written: int) -> Callable[[], list[list[int]]]:
        """Return a run that continues rows of ids greedily by `written` tokens each."""
        parts = [part.tolist() for part in prompt_BT.chunk(self._workers)]
        runs = [_Rows(self._kind, self._context(part, written), part, written) for part in parts]
        if len(runs) == 1:
            return runs[0].run
        pool = ThreadPoolExecutor(len(runs))
        return lambda: [row for part in pool.map(_Rows.run, runs) for row in part]

    def logits(self, prompt_BT: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, V) after each prompt."""
        part = prompt_BT.tolist()
        rows = _Rows(self._kind, self._context(part, 1), part, 1)
        return torch.from_numpy(rows.read())

    def _context(self, rows: list[list[int]], written: int) -> Any:
        settings = self._kind.llama_context_default_params()
        settings.n_seq_max = len(rows)
        settings.n_ctx = len(rows) * -(-(len(rows[0]) + written) // 256) * 256
        settings.n_batch = settings.n_ubatch = max(512, len(rows) * len(rows[0]))
        settings.n_threads = settings.n_threads_batch = self._threads
        settings.flash_attn_type = int(self._flash)
        context = self._kind.llama_init_from_model(self._model, settings)
        assert context is not None, "llama.cpp makes no context"
        return context


class _Rows:
    """Sequences of one context, decoded side by side."""

    def __init__(self, kind: Any, context: Any, prompts: list[list[int]], written: int) -> None:
        self._kind, self._context = kind, context
        self._prompts, self._written = prompts, written
        model = kind.llama_get_model(context)
        self._vocabulary = kind.llama_vocab_n_tokens(kind.llama_model_get_vocab(model))
        self._batch = kind.llama_batch_init(sum(map(len, prompts)), 0, 1)

    def run(self) -> list[list[int]]:
        """Return the ids that are likeliest, one by one."""
        ids = [[token] for token in self.read().argmax(axis=1).tolist()]
        for place in range(len(self._prompts[0]), len(self._prompts[0]) + self._written - 1):
            self._add([row[-1:] for row in ids], place)
            for row, token in zip(ids, self._compute().argmax(axis=1).tolist(), strict=True):
                row.append(token)
        return ids

    def read(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Forget what was, read the prompts, and return the logits (B, V) after them."""
        self._kind.llama_memory_clear(self._kind.llama_get_memory(self._context), False)
        self._add(self._prompts, 0)
        return self._compute()

    def _add(self, rows: list[list[int]], place: int) -> None:
        """Fill the batch with tokens of each row, of which the last has logits."""
        batch, count = self._batch, 0
        self._last = []
        for number, row in enumerate(rows):
            for offset, token in enumerate(row):
                batch.token[count], batch.pos[count] = token, place + offset
                batch.n_seq_id[count], batch.seq_id[count][0] = 1, number
                batch.logits[count] = offset == len(row) - 1
                count += 1
            self._last.append(count - 1)
        batch.n_tokens = count

    def _compute(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        if status := self._kind.llama_decode(self._context, self._batch):
            raise RuntimeError(f"llama_decode returned {status}")
        get = self._kind.llama_get_logits_ith
        rows = [get(self._context, place) for place in self._last]
        return np.stack([np.ctypeslib.as_array(row, (self._vocabulary,)) for row in rows])
