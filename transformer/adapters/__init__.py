"""Adapters: low-rank updates of linear maps (LoRA), trained, merged, and kept as PEFT's folders.

`parts` says which rows of our matrices are which linear map of the published model, `lora` is the
network's side, `peft_config` and `peft_folder` the files'. Nothing is imported here: a recipe reads
`settings` without torch.
"""
