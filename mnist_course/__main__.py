"`python -m mnist_course`, and so `torchrun -m mnist_course`: the command line. Written by hand, since nbdev makes no such file."

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
