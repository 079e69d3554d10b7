"""Names for annotations."""

from collections.abc import Sequence
from typing import Any, TypeAlias

# A tensor of the backend, or what Keras converts to one: a NumPy array, a number, nested lists.
# The backends have no type in common, so that checkers are told nothing and readers the word.
Tensor: TypeAlias = Any
# The weights `alpha`: none, one number, or one for each class.
Balance: TypeAlias = float | Sequence[float] | None
