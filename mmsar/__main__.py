"""`python -m mmsar` is the `mmsar` command."""

import sys

from mmsar.cli import main

sys.exit(main())
