"""Traditional to simplified characters, through OpenCC's table t2s: phrases first, then single characters.

It keeps what must stay (乾坤) and turns what must turn (乾燥 to 干燥), which a table of single characters cannot.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from minillm.errors import UserError


def simplify(texts: Iterable[str]) -> list[str]:
    """The texts in simplified script; what is simplified already stays. UserError: OpenCC is not installed."""
    convert = _converter().convert
    return [convert(text) for text in texts]


@lru_cache(maxsize=1)
def _converter() -> Any:
    try:
        from opencc import OpenCC
    except ImportError:
        raise UserError("simplified script needs OpenCC: pip install opencc") from None
    return OpenCC("t2s")
