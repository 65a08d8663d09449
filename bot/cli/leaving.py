"""The end of the process."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
from typing import NoReturn


def leave(ending: SystemExit) -> NoReturn:
    """End the process with an exit code, past the interpreter's own end where that could abort it.

    The threads of obstore may still let go of Python objects when all work is done. Where the interpreter goes down
    under one of them, Rust aborts the process (SIGABRT), and a command that did everything would end with 134.

    Args:
        ending: what `sys.exit` raised.
    """
    if "obstore" not in sys.modules:
        raise ending
    code = 0 if ending.code is None else ending.code
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    atexit._run_exitfuncs()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code & 0xFF)
