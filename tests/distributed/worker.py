"""One of two processes that do the jobs of `jobs.py` together, so that torch is loaded once for many tests.

Started by `conftest.py` with a launcher's environment and a pipe to the test's process; not for use by hand.
"""

import pickle
import sys
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    """Do jobs until the test's process ends it. The answer is sent; of an error the words."""
    import jobs

    from obverse.launch import launched
    from obverse.runtime import joined

    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "This DataLoader will create")
    with joined(launched()), Connection(int(sys.argv[1])) as parent:
        while True:
            name, arguments = parent.recv()
            try:
                answer = (True, getattr(jobs, name)(**arguments))
            except Exception:
                answer = (False, traceback.format_exc())
            parent.send_bytes(pickle.dumps(answer))


if __name__ == "__main__":
    main()
