"""``python -m labelwright``"""

from labelwright.cli import main

main()
