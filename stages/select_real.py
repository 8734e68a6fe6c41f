"""Turn `params.yaml` to the photograph sets and the pretrained MobileNetV2: changes `run` and `paths`, nothing else.

    python stages/select_real.py FOLDER birds,flowers        # FOLDER/real/<set>, FOLDER/weights/mobilenet_v2_relu.pth

`git checkout params.yaml` turns it back to the offline default.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ruamel.yaml import YAML

from udta.errors import ConfigError


def select(params: Path, folder: Path, sets: list[str]) -> None:
    """Rewrite the two tables; comments and everything else stay as they are."""
    yaml = YAML()
    document = yaml.load(params)
    absent = [name for name in sets if not (folder / "real" / name).is_dir()]
    if absent:
        raise ConfigError(f"{folder / 'real'} has no folder {' nor '.join(absent)}")
    document["run"].update(generate=[], backbones=["mobilenet_v2"], datasets=sets)
    document["paths"].update(images=str(folder / "real"), weights=str(folder / "weights"))
    yaml.dump(document, params)


if __name__ == "__main__":
    try:
        select(Path("params.yaml"), Path(sys.argv[1]), sys.argv[2].split(","))
    except (ConfigError, IndexError) as error:
        sys.exit(f"error: {error or 'usage: python stages/select_real.py FOLDER SET,SET'}")
