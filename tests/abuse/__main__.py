"""`python -m tests.abuse slow | timing`: prints what was measured; ends with 1 where the service did not hold."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.abuse import slow, timing

PARTS = {"slow": slow.main, "timing": timing.main}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.abuse", description=__doc__)
    parser.add_argument("part", choices=PARTS)
    sys.exit(asyncio.run(PARTS[parser.parse_args().part]()))
