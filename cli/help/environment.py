"""The variables of the environment that the program reads."""

ENVIRONMENT = {
    "TRANSDUCE_MODEL": "The model, where -m is not given.",
    "TRANSDUCE_DEVICE": "The device, where --device is not given: auto, cpu, cuda or cuda:N.",
    "TRANSDUCE_DEBUG": "Any value: show a traceback with an error, as --debug does.",
    "HF_HUB_CACHE": "Folder of models from the Hugging Face hub; else the folder hub in HF_HOME.",
    "HF_HUB_OFFLINE": "1: take models from that folder alone, and ask the hub nothing.",
    "HF_HUB_DOWNLOAD_TIMEOUT": "Seconds to wait for an answer of the hub. Default: 10.",
    "HF_TOKEN": "Token of an account on the hub, for models that are not open to all.",
    "HF_ENDPOINT": "Address of the hub, if it is another.",
    "NO_COLOR": "Any value: no bold text, no colours. So does TERM=dumb.",
}
