"""``python -m tests.standin --port 0 --latency 0.2``: prints the port and serves until interrupted."""

import argparse
import threading

from tests.standin.server import StandIn


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default): any free one")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="before each answer begins")
    parser.add_argument("--encoding", choices=("gzip", "deflate"), help="compress for clients that accept it")
    options = parser.parse_args()
    with StandIn(latency_s=options.latency, port=options.port, encoding=options.encoding) as standin:
        print(standin.port, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
