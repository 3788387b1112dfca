# @title Install ser_kit where it is missing: from a wheel at hand, the package index, or the repository
# The same cell opens every notebook.
import glob
import importlib.util
import os
import re
import subprocess
import sys

EXTRAS = ""
BESIDE = ("", "dist/", "../dist/")
DRIVE = tuple("/content/drive/MyDrive/" + depth for depth in ("", "*/", "*/*/"))
KAGGLE = tuple("/kaggle/input/" + depth for depth in ("", "*/", "*/*/", "*/*/*/", "*/*/*/*/"))


def attempts(places=(*BESIDE, "/content/", *DRIVE, *KAGGLE)):
    """What pip is asked for, in turn: the newest wheel in the first place that has one, the index, the
    repository."""
    for place in places:
        wheels = glob.glob(place + "ser_kit-*.whl")
        if wheels:
            wheel = max(wheels, key=lambda path: [int(n) for n in re.findall(r"\d+", os.path.basename(path))])
            beside = ["--find-links", os.path.dirname(os.path.abspath(wheel))]
            yield f"the wheel {wheel} and the packages beside it", ["--no-index", *beside, wheel + EXTRAS]
            yield f"the wheel {wheel} and the package index", [*beside, wheel + EXTRAS]
            break
    yield "the package index", ["--retries", "1", "ser-kit" + EXTRAS]
    yield "the repository", [f"ser-kit{EXTRAS} @ git+https://github.com/ser-kit/ser_kit"]


def install(*given, run=subprocess.run):
    """Try each in turn, and say what to do where none of them works."""
    failed = []
    for what, wanted in given or attempts():
        print(f"Installing ser_kit from {what} ...")
        done = run([sys.executable, "-m", "pip", "install", "-q", *wanted], capture_output=True, text=True)
        importlib.invalidate_caches()
        if done.returncode == 0 and importlib.util.find_spec("ser_kit"):
            return
        failed.append(f"{what}: {(done.stderr.strip().splitlines() or ['no ser_kit in it'])[-1]}")
    print("\n".join(failed))
    raise RuntimeError(
        "ser_kit was not found: put its wheel (`make wheel` builds it) beside this notebook, into your "
        "mounted Drive or into a dataset attached on Kaggle, or turn the internet on, and run this cell again"
    )


if importlib.util.find_spec("ser_kit") is None:
    install()
