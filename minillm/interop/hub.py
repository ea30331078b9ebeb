"""Models by name, through the huggingface_hub library: only settings, safetensors and tokenizer files are fetched.

The library keeps them in its cache and resumes broken downloads; HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE
work as they do there.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minillm.errors import UserError

CONFIG = "config.json"
FILES = (
    CONFIG,
    "model.safetensors",
    "model-*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
NAME = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?")


def find(name: str | Path, check: Callable[[Path], Any]) -> Path:
    """The folder of that name, or of the repository of that name, fetched if it is not in the cache.

    `check` is called on a folder with config.json before the weights are fetched. UserError: neither a folder nor a
    repository, no network, no leave to read it.
    """
    folder = Path(name)
    if folder.is_dir():
        return folder
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(f"there is no folder {name}; name one, or a model of the Hub, such as gpt2")
    return fetch(name, check)


def fetch(name: str, check: Callable[[Path], Any]) -> Path:
    """A repository's files, in the library's cache. UserError as find."""
    try:
        import huggingface_hub as library
        from huggingface_hub import errors
    except ImportError:
        raise UserError(f"there is no folder {name}, and models of the Hub need: pip install huggingface_hub") from None
    try:
        if not isinstance(library.try_to_load_from_cache(name, CONFIG), str):
            # A question first, for a download asks again and again, half a minute long, where there is no network.
            library.get_hf_file_metadata(library.hf_hub_url(name, CONFIG), timeout=10)
        check(Path(library.hf_hub_download(name, CONFIG)).parent)
        folder = Path(library.snapshot_download(name, allow_patterns=list(FILES)))
        if not any(folder.glob("*.safetensors")):
            raise UserError(
                f"{name} has no model.safetensors on the Hub; weights in a pickle (pytorch_model.bin), which can run "
                "any program when it is read, are not fetched: take another copy of the model"
            )
        return folder
    except UserError:
        raise
    except errors.GatedRepoError:
        raise UserError(
            f"{name} asks its readers to accept its terms: do that on its page on the Hub, then log in: hf auth login"
        ) from None
    except errors.RepositoryNotFoundError:
        raise UserError(f"there is no folder {name}, and no public model of that name on the Hub") from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        raise UserError(
            f"there is no folder {name}, it is not in the Hub's cache, and there is no network, or HF_HUB_OFFLINE is "
            "set: download it elsewhere and name its folder"
        ) from None
    except errors.EntryNotFoundError:
        raise UserError(f"{name} has no {CONFIG}, so it is no model of transformers: name another") from None
    except errors.HFValidationError:
        raise UserError(f"{name} is neither a folder nor a name that the Hub can have") from None
    except Exception as error:  # of the HTTP library below, which has changed between versions; or of the disk
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"there is no folder {name}, and the Hub cannot give it ({why:.120}): check the network and try again, or "
            "download it elsewhere and name its folder"
        ) from None
