"""``python -m pytest_llmops``."""

import sys

from pytest_llmops.cli import main

sys.exit(main())
