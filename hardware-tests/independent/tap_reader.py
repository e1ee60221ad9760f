#!/usr/bin/env python3
"""The tap of `permit_reader.py` as a program of its own: what a bus needs, and nothing else.

    tap_reader.py --bundle FILE --key FILE --role transit [--reader NAME] [--at YYYY-MM-DD]
    tap_reader.py --selftest
"""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from permit_reader import main  # noqa: E402

if __name__ == "__main__":
    words = sys.argv[1:]
    raise SystemExit(main(["selftest"] if words == ["--selftest"] else ["tap", *words]))
