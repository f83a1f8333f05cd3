"""`python -m steersman_bench`, where `steersman` has not seen the package yet."""

from steersman_bench.command import bench

if __name__ == "__main__":
    bench(prog_name="steersman bench")
