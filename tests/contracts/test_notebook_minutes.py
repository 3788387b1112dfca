"""The table of minutes counts what trains as faster, and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
if not (ROOT / "tools").is_dir():
    pytest.skip("the tools are not beside an installed package", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from tools import notebook_minutes  # noqa: E402


def test_minutes(tmp_path, capsys):
    def cell(source, minutes):
        times = {"iopub.execute_input": "2026-01-01T00:00:00.000000Z"}
        times["shell.execute_reply"] = f"2026-01-01T00:{minutes:02d}:00.000000Z"
        return {"cell_type": "code", "source": [source], "metadata": {"execution": times}}

    cells = [cell("extract(table)", 2), cell("recipe.fit(table)", 10), {"cell_type": "markdown", "source": []}]
    (tmp_path / "01_made.ipynb").write_text(json.dumps({"cells": cells}))
    assert notebook_minutes.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "| 01_made | 12.0 | 10.0 | 4.0 |"
