"""The notebook of the pages runs from its first cell to its last, as a reader would run it; and it is kept without outputs."""

import copy
from pathlib import Path

import nbformat
import pytest
import torch
from nbclient import NotebookClient

import udta

NOTEBOOK = nbformat.read(Path(__file__).parent.parent.parent / "docs" / "notebook.ipynb", as_version=4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_every_cell_runs(tmp_path, monkeypatch):
    cached = (
        tmp_path / "torch" / "hub" / "checkpoints" / "mobilenet_v2-7ebf99e0.pth"
    )  # as torch calls the published file
    cached.parent.mkdir(parents=True)
    torch.save(udta.build_backbone("mobilenet_v2").module.state_dict(), cached)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))  # the kernel shares the cores with other tests
    done = NotebookClient(
        copy.deepcopy(NOTEBOOK), timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    pictures = [
        output for cell in done.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 1
    assert (tmp_path / "runs" / "tiles" / "adapter.safetensors").exists()


def test_it_is_kept_without_outputs():
    cells = [cell for cell in NOTEBOOK.cells if cell.cell_type == "code"]
    assert len(cells) > 5
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
