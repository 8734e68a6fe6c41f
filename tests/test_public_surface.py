"""What `import udta` promises."""

import inspect
import subprocess
import sys
from importlib.metadata import version

import udta
from udta.cli.main import VERBS

# No functions: the first is the shell's business alone, the last that of a dvc.yaml.
COMMAND_ALONE = {"completion", "stage"}
# No verbs: objects that calls take or give, and what a verb has as an option (`udta extract` with several --out,
# `udta verify --recompute`, `udta evaluate --parity`).
PYTHON_ALONE = {"build_backbone", "load_adapter", "open_store", "with_labels", "extract_many", "recompute", "parity"}


def test_all_is_sorted_complete_and_resolves_after_submodules_were_imported():
    import udta.cli
    import udta.training.train

    assert udta.__all__ == sorted(udta.__all__)
    assert set(udta.__all__) == set(udta._HOME)
    for name in udta.__all__:
        assert callable(getattr(udta, name)), name
    assert set(udta.__all__) <= set(dir(udta))


def test_every_verb_is_a_function_of_its_name_and_the_other_way_round():
    verbs = {verb.replace("-", "_") for verb in VERBS} - COMMAND_ALONE
    assert verbs <= set(udta.__all__)
    functions = {name for name in udta.__all__ if not inspect.isclass(getattr(udta, name))}
    assert functions - verbs == PYTHON_ALONE


def test_the_version_is_that_of_the_package():
    assert udta.__version__ == version("udta")


def test_a_package_that_has_the_name_of_a_verb_is_both():
    from udta.backbones import TapForward

    assert udta.backbones.TapForward is TapForward
    assert udta.backbones("resnet152").matches[0].backbone == "resnet152"
    assert list(inspect.signature(udta.backbones).parameters) == ["word"]


def test_import_and_help_do_not_wait_for_torch():
    code = "import sys, udta, udta.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
