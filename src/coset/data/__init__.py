"""Small real data in the package, and larger data brought on request with its checksum.

`load_digits` needs nothing but the package; `get` brings the complete MNIST for `load_mnist`;
`read_idx` reads any idx file; `datasets` and `verify` say what there is and whether it is whole.
"""

from __future__ import annotations

from coset.data.catalog import DataFile, Dataset, datasets, find_dataset
from coset.data.checking import FileCheck, verify
from coset.data.fetching import get
from coset.data.idx import read_idx
from coset.data.image_sets import ImageSet, load_digits, load_mnist

__all__ = [
    "DataFile",
    "Dataset",
    "FileCheck",
    "ImageSet",
    "datasets",
    "find_dataset",
    "get",
    "load_digits",
    "load_mnist",
    "read_idx",
    "verify",
]
