"""Prisma Client Python without an engine process.

import prisma_in_process
prisma_in_process.install()  # before the first `connect()`
"""

__version__ = "0.1.0"

from .install import install

__all__ = ["install"]
