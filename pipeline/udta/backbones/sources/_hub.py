"""Files of a hub that are asked for by name: through `huggingface_hub`, into its own cache, and every failure one sentence.

`HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_CACHE` and `HF_HUB_OFFLINE` mean what that library says; its bars are for terminals.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from udta._console.terminal import first_few
from udta.backbones.sources.downloads import forbidden_by
from udta.errors import ConfigError, WeightsError

_LOG = logging.getLogger(__name__)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ASK_WITHIN_S = 10.0
# What was renamed lies in the cache by the name that it was asked by, all files of it in one folder: by present name.
_asked_as: dict[str, str] = {}


@dataclass(frozen=True)
class HubFile:
    """A file in the cache; `id` is the repository by its present name, `revision` the commit."""

    path: Path
    id: str
    revision: str

    @property
    def origin(self) -> dict[str, str]:
        """As a blueprint tells it."""
        return {"id": self.id, "revision": self.revision}


@dataclass(frozen=True)
class Snapshot:
    """Several files of one commit, below `folder` by their names in the repository."""

    folder: Path
    id: str
    revision: str


def split_revision(name: str) -> tuple[str, str | None]:
    """`ORG/NAME@REV` as its two parts."""
    repo, _, revision = name.partition("@")
    return repo, revision or None


def fetch(repo: str, names: Sequence[str], revision: str | None = None) -> HubFile:
    """The first of `names` that a repository has, out of the cache, else downloaded.

    Args:
        repo: `ORG/NAME`.
        names: of files, the preferred one first.
        revision: a commit, a branch or a tag; None is `main`. A commit that is in the cache is asked nobody for.

    Raises:
        ConfigError: no such repository or revision. WeightsError: none of these files, or nobody there to give them.
    """
    repo = _asked_as.get(repo, repo)
    if (found := _cached(repo, names, revision)) and (_is_commit(revision) or forbidden_by()):
        return found
    if who := forbidden_by():
        raise ConfigError(
            f"{who} asks for {_said(repo, revision)}, which has no {_any_of(names)} on this machine; nothing is downloaded "
            "because a file says so: give --backbone and --weights if you want that"
        )
    try:
        about = _hub().HfApi().model_info(repo, revision=revision, timeout=_ASK_WITHIN_S)
        there = {file.rfilename for file in about.siblings or ()}
        name = next((name for name in names if name in there), None)
        if name is None:
            raise WeightsError(
                f"{_said(repo, revision)} has no {_any_of(names)}, but {first_few(sorted(there))}: "
                "is it a model of another library?"
            )
        if _cached(repo, [name], about.sha) is None:
            _LOG.info("downloading %s of %s", name, _said(repo, revision))
        # By the name of the branch, whose commit the cache then knows when there is no network.
        path = _hub().HfApi().hf_hub_download(repo, name, revision=revision)
    except WeightsError:
        raise
    except Exception as error:  # of whatever library the installed version asks the network with
        if found:  # also of a repository that is gone, or was closed since
            return found
        raise _sentence(error, repo, revision, names) from error
    if about.id != repo:
        _asked_as[about.id] = repo
        _LOG.info("%s is called %s now; say so instead, as the old name may go", repo, about.id)
    return _file(Path(path), name, about.id)


def fetch_all(repo: str, names: Sequence[str], revision: str | None = None) -> Snapshot:
    """Every one of `names`, of one commit. Raises as `fetch`."""
    first = fetch(repo, names[:1], revision)
    # The branch may have moved on between two files; the commit does not.
    for name in names[1:]:
        fetch(repo, [name], first.revision)
    return Snapshot(_folder(first.path, names[0]), first.id, first.revision)


def is_cached(repo: str, names: Sequence[str], revision: str | None = None) -> bool:
    """Whether `fetch` of the same finds it without a network, where `revision` is a commit."""
    return _cached(_asked_as.get(repo, repo), names, revision) is not None


def _hub() -> Any:
    """Imported when a name needs it: half a second. `timm`, `transformers` and `open_clip` all bring it."""
    return import_module("huggingface_hub")


def _cached(repo: str, names: Sequence[str], revision: str | None) -> HubFile | None:
    hub = _hub()
    try:
        for name in names:
            path = hub.try_to_load_from_cache(repo, name, revision=revision)
            if isinstance(path, str):  # else None, or a mark that the repository has no such file
                return _file(Path(path), name, repo)
    except (
        ValueError,
        OSError,
    ):  # no name of a repository, or one that no file may have: asking the hub says what it is
        pass
    return None


def _file(path: Path, name: str, repo: str) -> HubFile:
    return HubFile(path, repo, _folder(path, name).name)


def _folder(path: Path, name: str) -> Path:
    """The folder of the cache that holds one commit, whose name is its hash."""
    return path.parents[name.count("/")]


def _is_commit(revision: str | None) -> bool:
    return revision is not None and _COMMIT.fullmatch(revision) is not None


def _any_of(names: Sequence[str]) -> str:
    return " or ".join(names)


def _said(repo: str, revision: str | None) -> str:
    return f"{repo}@{revision}" if revision else repo


def _sentence(error: Exception, repo: str, revision: str | None, names: Sequence[str]) -> ConfigError | WeightsError:
    """What went wrong, and what to do."""
    errors = import_module("huggingface_hub.errors")
    said, page = _said(repo, revision), f"{import_module('huggingface_hub.constants').ENDPOINT}/{repo}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    # A kind of `RepositoryNotFoundError`, so it is looked at before that.
    if isinstance(error, errors.GatedRepoError):
        return WeightsError(
            f"{said} is given only to those who accepted its terms: do that on {page}, then run `hf auth login` or set HF_TOKEN"
        )
    if isinstance(error, errors.HFValidationError):
        return ConfigError(f"{repo!r} is no name of a repository, which is ORG/NAME, such as timm/resnet18.a1_in1k")
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        return ConfigError(
            f"there is no repository {repo} at {page}, or it is private: look at its spelling; for a private one run "
            "`hf auth login` or set HF_TOKEN"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ConfigError(
            f"{repo} has no revision {revision!r}: give a branch, a tag or a commit that {page}/commits lists"
        )
    if status == 403:
        return WeightsError(
            f"{said} may not be read with this token: ask on {page} for access, or set another HF_TOKEN"
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return WeightsError(
            f"{_any_of(names)} of {said} is not in the cache, and HF_HUB_OFFLINE is set: unset it once to download, or give a "
            "file as --weights"
        )
    return WeightsError(
        f"{_any_of(names)} of {said} cannot be downloaded from {page} ({type(error).__name__}: {_first_line(error)}), and is not "
        "in the cache: look at the network, or give a file as --weights"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0].rstrip(".")
