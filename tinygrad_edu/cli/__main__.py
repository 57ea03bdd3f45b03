"""python -m tinygrad_edu.cli: the same as python -m tinygrad_edu."""

import sys

from . import main

sys.exit(main())
