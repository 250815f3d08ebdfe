"""The faults, by what they strike. Importing this package registers all of them, in the table's order."""

from tests.chaos.rows import processes  # noqa: F401, I001
from tests.chaos.rows import models  # noqa: F401
from tests.chaos.rows import bundles  # noqa: F401
from tests.chaos.rows import disks  # noqa: F401
from tests.chaos.rows import surroundings  # noqa: F401
from tests.chaos.rows import overload  # noqa: F401
