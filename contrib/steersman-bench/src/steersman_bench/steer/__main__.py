"""`python -m steersman_bench.steer`: the benchmark without the command line of `steersman`."""

from steersman_bench.steer.command import steer

if __name__ == "__main__":
    steer(prog_name="steersman bench steer")
