"""What `import udta` promises."""

import subprocess
import sys


def test_all_is_sorted_complete_and_resolves_after_submodules_were_imported():
    import udta.cli
    import udta.training.train

    assert udta.__all__ == sorted(udta.__all__)
    assert set(udta.__all__) == set(udta._HOME)
    for name in udta.__all__:
        assert callable(getattr(udta, name)), name
    assert set(udta.__all__) <= set(dir(udta))


def test_import_and_help_do_not_wait_for_torch():
    code = "import sys, udta, udta.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
