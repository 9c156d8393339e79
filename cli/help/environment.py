"""The variables of the environment that the program reads."""

ENVIRONMENT = {
    "TRANSDUCE_MODEL": "The model, where -m is not given.",
    "TRANSDUCE_DEVICE": "The device, where --device is not given: auto, cpu, cuda or cuda:N.",
    "TRANSDUCE_DEBUG": "Any value: show a traceback with an error, as --debug does.",
    "HF_HUB_CACHE": "Folder of models from the Hugging Face hub. HF_TOKEN and HF_ENDPOINT count, "
    "too.",
    "NO_COLOR": "Any value: no bold text and no colours.",
}
