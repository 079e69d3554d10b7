"""Arrays of HDF5 files that others wrote: over plain links, in one piece, of an honest size."""

from __future__ import annotations

import h5py

# What h5py makes of the errors of the HDF5 library, which depends on the call that met the damage:
# OSError for file and values, KeyError for an object that cannot be opened, RuntimeError for its
# links, TypeError and ValueError for a kind of number or text that NumPy does not know,
# OverflowError for a length beyond those of all files.
DAMAGE = (OSError, KeyError, RuntimeError, TypeError, ValueError, OverflowError)


class Unfit(Exception):
    """There is no tensor at a place, or not one that can be read safely."""


def dataset(file: h5py.File, place: str) -> h5py.Dataset:
    """Return a dataset of a file, by names from the root, without having read its values.

    Links to other files are not followed, and what is not stored in one piece in this file
    (virtual, external, packed) is refused: reading it could open files or fill the memory.

    Raises:
        Unfit: there is none, or one that is stored otherwise.
    """
    found = file
    for step in place.split("/"):
        if not isinstance(found, h5py.Group) or not isinstance(
            found.get(step, getlink=True), h5py.HardLink
        ):
            raise Unfit(f"no tensor {place}")
        found = found[step]
    if not isinstance(found, h5py.Dataset):
        raise Unfit(f"no tensor {place}")
    stored = found.id.get_create_plist()
    if (
        found.is_virtual
        or stored.get_external_count()
        or stored.get_nfilters()
        or stored.get_layout() != h5py.h5d.CONTIGUOUS
        or found.nbytes > found.id.get_storage_size()
    ):
        raise Unfit(f"the tensor {place} is not stored in one piece")
    return found
