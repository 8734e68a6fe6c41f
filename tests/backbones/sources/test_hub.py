"""What is fetched from a hub: the preferred file, once, by commit; the cache where there is no network; else one sentence."""

import logging

import pytest

from udta.backbones.sources._hub import fetch, fetch_all, is_cached, split_revision
from udta.backbones.sources.downloads import no_downloads
from udta.errors import ConfigError, WeightsError

REPO = "someone/something"
NAMES = ("model.safetensors", "pytorch_model.bin")
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def commit(hub):
    return hub.add(REPO, {"config.json": "{}", "pytorch_model.bin": b"p", "model.safetensors": b"s", "sub/x.txt": "x"})


def test_the_preferred_file_with_the_commit_it_is_of(hub, commit):
    found = fetch(REPO, NAMES)
    assert (found.path.read_bytes(), found.id, found.revision) == (b"s", REPO, commit)
    assert fetch(REPO, ["tf_model.h5", "pytorch_model.bin"]).path.read_bytes() == b"p"
    assert found.origin == {"id": REPO, "revision": commit}


def test_a_commit_in_the_cache_is_asked_nobody_for(hub, commit):
    assert not is_cached(REPO, NAMES, commit)
    fetch(REPO, NAMES)
    hub.requests.clear()
    assert is_cached(REPO, NAMES, commit)
    assert fetch(REPO, NAMES, commit).path.read_bytes() == b"s"
    assert hub.requests == []


def test_a_branch_moves_on_and_a_tag_stays(hub, commit):
    fetch(REPO, NAMES)
    hub.repositories[REPO].refs["v1"] = commit
    later = hub.add(REPO, {"model.safetensors": b"later"})
    assert fetch(REPO, NAMES).revision == later
    assert fetch(REPO, NAMES, "v1").revision == commit


@pytest.mark.parametrize("where", [{"offline": True}, {"endpoint": NOWHERE}])
def test_without_a_network_the_cache_is_enough(hub, commit, where):
    fetch(REPO, NAMES)
    hub.requests.clear()
    with hub.reachable(**where):
        assert fetch(REPO, NAMES).revision == commit
        assert fetch(REPO, NAMES, "main").path.read_bytes() == b"s"
    assert hub.requests == []


def test_several_files_are_of_one_commit(hub, commit):
    found = fetch_all(REPO, ["sub/x.txt", "config.json"])
    assert (found.id, found.revision) == (REPO, commit)
    assert [(found.folder / name).read_text() for name in ("sub/x.txt", "config.json")] == ["x", "{}"]
    with pytest.raises(WeightsError, match=r"has no absent\.json, but .*config\.json"):
        fetch_all(REPO, ["config.json", "absent.json"])


def test_a_renamed_repository_works_and_says_its_name(hub, commit, caplog):
    hub.rename(REPO, "someone/renamed")
    with caplog.at_level(logging.INFO, "udta"):
        found = fetch(REPO, NAMES)
    assert (found.id, found.revision) == ("someone/renamed", commit)
    assert "someone/something is called someone/renamed now" in caplog.text
    assert fetch(found.id, ["config.json"], commit).path.parent == found.path.parent
    with hub.reachable(offline=True):  # by the name that a store remembers
        assert fetch(REPO, NAMES, commit).path == found.path


def sentence(kind, *arguments):
    with pytest.raises(kind) as caught:
        fetch(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_repository_says_where_to_ask(hub, commit, status):
    hub.gate(REPO, status)
    said = sentence(WeightsError, REPO, NAMES)
    assert said.startswith(f"{REPO} is given only to those who accepted its terms: do that on {hub.endpoint}/{REPO}")
    assert "hf auth login" in said


def test_what_is_not_there_is_named(hub, commit):
    assert "there is no repository no/thing" in sentence(ConfigError, "no/thing", NAMES)
    assert "has no revision 'v9'" in sentence(ConfigError, REPO, NAMES, "v9")
    assert "has no tf_model.h5, but config.json, " in sentence(WeightsError, REPO, ["tf_model.h5"])
    assert "is no name of a repository" in sentence(ConfigError, "a/b/c", NAMES)


def test_nobody_there_and_nothing_in_the_cache(hub, commit):
    with hub.reachable(offline=True):
        assert "not in the cache, and HF_HUB_OFFLINE is set" in sentence(WeightsError, REPO, NAMES)
    with hub.reachable(endpoint=NOWHERE):
        said = sentence(WeightsError, REPO, NAMES)
    assert f"cannot be downloaded from {NOWHERE}/{REPO} (ConnectError: " in said
    assert "give a file as --weights" in said


def test_nothing_is_downloaded_because_a_file_says_so(hub, commit):
    with no_downloads("store s"), pytest.raises(ConfigError, match=r"store s asks for .* nothing is downloaded"):
        fetch(REPO, NAMES)
    assert hub.requests == []
    fetch(REPO, NAMES)
    hub.requests.clear()
    with no_downloads("store s"):
        assert fetch(REPO, NAMES).revision == commit
    assert hub.requests == []


def test_a_revision_follows_an_at_sign():
    assert split_revision("a/b@v1") == ("a/b", "v1")
    assert split_revision("a/b") == ("a/b", None)
