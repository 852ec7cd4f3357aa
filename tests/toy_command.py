"""The command line with one more data set, the toy; run as a script by the tests."""

import sys

from toys import Lazy

import mmlib.data
from mmlib.__main__ import main

if __name__ == "__main__":
    mmlib.data.DATA = {"toy": Lazy}
    sys.exit(main())
