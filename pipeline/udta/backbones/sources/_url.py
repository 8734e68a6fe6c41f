"""Published weights at an address: into torch's cache, where torchvision and timm look for them as well."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import torch

from udta.backbones.sources.downloads import forbidden_by
from udta.errors import ConfigError, WeightsError

_LOG = logging.getLogger(__name__)


def fetch(url: str) -> Path:
    """The file, out of the cache, else downloaded; what its name says of its hash is checked.

    Raises:
        WeightsError: it cannot be downloaded. ConfigError: it may not be, because a data file names it.
    """
    path = _cached(url)
    if path.is_file():
        return path
    if who := forbidden_by():
        raise ConfigError(
            f"{who} asks for {url}, which is not on this machine; nothing is downloaded because a file says so: give --weights"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # `load_state_dict_from_url` would say so on standard output, which is the document of `--json`.
    _LOG.info("downloading %s to %s", url, path)
    said = torch.hub.HASH_REGEX.search(path.name)
    try:
        torch.hub.download_url_to_file(url, str(path), said[1] if said else None, progress=sys.stderr.isatty())
    except (URLError, OSError, RuntimeError) as error:  # the last of a hash that differs
        raise WeightsError(
            f"{url} cannot be downloaded ({error}); fetch it elsewhere and give the file as --weights"
        ) from error
    return path


def is_cached(url: str) -> bool:
    """Whether `fetch` finds it without a network."""
    return _cached(url).is_file()


def _cached(url: str) -> Path:
    # As `torch.hub.load_state_dict_from_url` calls it.
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
