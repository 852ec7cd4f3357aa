"""The command line with one more data set, the toy; run as a script by the tests."""

import sys

import mmlib.data
from mmlib.__main__ import main
from toys import Lazy

if __name__ == "__main__":
    mmlib.data.DATA = {"toy": Lazy}
    sys.exit(main())
