"""A config.json that others wrote: each value is checked for its type before it is used."""

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from minillm.config import ModelConfig
from minillm.errors import UserError

LONGEST = 1 << 20  # bytes; config.json files have a few thousand


class Settings:
    """The values by name. UserError, with the file's name, on one that is missing or of another type."""

    def __init__(self, values: dict[str, Any], path: Path) -> None:
        self.values, self.path = values, path

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number above 0; null counts as missing."""
        value = self.values.get(name)
        if value is None:
            value = default
        if type(value) is not int or value < 1:
            self.refuse(f"{name} is {value!r:.40}; it must be a whole number above 0")
        return value

    def number(self, name: str, default: float) -> float:
        value = self.values.get(name)
        if value is None:
            value = default
        if type(value) not in (int, float) or not math.isfinite(value):
            self.refuse(f"{name} is {value!r:.40}; it must be a finite number")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        value = self.values.get(name)
        if value is None:
            value = default
        if type(value) is not bool:
            self.refuse(f"{name} is {value!r:.40}; it must be true or false")
        return value

    def choice(self, name: str, default: str, choices: dict[str, str]) -> str:
        """Our word for theirs."""
        value = self.values.get(name)
        if value is None:
            value = default
        if not isinstance(value, str) or value not in choices:
            self.refuse(f"{name} is {value!r:.40}; minillm computes {', '.join(choices)}")
        return choices[value]

    def refuse(self, why: str) -> NoReturn:
        raise UserError(f"{self.path}: {why}")

    def model(self, **values: Any) -> ModelConfig:
        """Our configuration; what is wrong with it is said with the file's name."""
        try:
            return ModelConfig(**values)
        except UserError as error:
            raise UserError(f"{self.path}: {error}") from error


def read_json(path: Path, longest: int = LONGEST) -> dict[str, Any]:
    """The object in a JSON file. UserError: missing, too long, no JSON, no object."""
    try:
        size = path.stat().st_size
        if size > longest:
            raise UserError(f"{path} has {size:,} bytes, too many for such a file: name a folder of transformers")
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path} is missing: name a folder that transformers' save_pretrained wrote") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; name another folder") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is no JSON: copy or download it again") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} holds no settings by name: copy or download it again")
    return data
