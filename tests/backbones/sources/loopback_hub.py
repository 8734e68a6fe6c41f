"""A hub of models and datasets on 127.0.0.1, as far as `huggingface_hub` asks: with gated, renamed and missing repositories.

In this process the fixture `hub` leads to it; a command in another process gets there by `hub.environment()`.
"""

import hashlib
import json
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Repository:
    """`commits` by hash; `refs` are branches and tags, by name."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    status: int = 200


class LoopbackHub:
    """`requests` has a line for each that was made, such as `GET /api/models/ORG/NAME`."""

    def __init__(self, cache):
        self.cache, self.repositories, self.renamed, self.requests = Path(cache), {}, {}, []
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def add(self, repo, files, *, revision="main"):
        """A commit of `files` (bytes or text by name, or a folder), to which `revision` leads from now on; its hash."""
        if isinstance(files, str | Path):
            root = Path(files)
            files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        files = {name: text.encode() if isinstance(text, str) else text for name, text in files.items()}
        found = self.repositories.setdefault(repo, Repository())
        commit = hashlib.sha1(repr((repo, sorted(files.items()))).encode()).hexdigest()
        found.commits[commit], found.refs[revision] = files, commit
        return commit

    def gate(self, repo, status=401):
        """From now on its files are given to nobody: 401 to those without a token, 403 to those who did not accept its terms."""
        self.repositories[repo].status = status

    def rename(self, old, new):
        """Requests for the old name are led to the new one, as after a rename."""
        self.repositories[new] = self.repositories.pop(old)
        self.renamed[old] = new

    def environment(self, **more):
        """Of a command that is to find this hub, and a cache of its own."""
        return {**os.environ, "HF_ENDPOINT": self.endpoint, "HF_HUB_CACHE": str(self.cache), **more}

    @contextmanager
    def reachable(self, *, offline=False, endpoint=None):
        """Inside, `huggingface_hub` of this process asks this hub (or `endpoint`, where nobody may be), or nobody."""
        from huggingface_hub import close_session, constants

        # The library reads the environment when it is imported, but looks these up at every call.
        settings = {
            "ENDPOINT": endpoint or self.endpoint,
            "HUGGINGFACE_CO_URL_TEMPLATE": (endpoint or self.endpoint) + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(self.cache),
            "HF_HUB_OFFLINE": offline,
        }
        before = {name: getattr(constants, name) for name in settings}
        try:
            for name, value in settings.items():
                setattr(constants, name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(constants, name, value)
            close_session()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub

    def log_message(self, *_):
        """Nothing on standard error."""

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def do_POST(self):
        """Which of some paths there are."""
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["paths"]
        *_, organisation, name, _, revision = unquote(urlsplit(self.path).path).split("/")
        found = self._commit(f"{organisation}/{name}", revision)
        if found is None:
            return None
        self.hub.requests.append(f"POST {self.path}")
        described = [each for each in _described(found[2]) if each["path"] in asked]
        return self._send(200, json.dumps(described).encode(), {"Content-Type": "application/json"})

    def _answer(self, *, body):
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        for old, new in self.hub.renamed.items():
            if f"/{old}/" in f"{path}/":
                return self._send(307, headers={"Location": self.path.replace(old, new)})
        parts = path.strip("/").split("/")
        if parts[:2] in (["api", "models"], ["api", "datasets"]):
            return self._model("/".join(parts[2:4]), parts[4:], body)
        parts = parts[1:] if parts[:1] == ["datasets"] else parts
        if len(parts) > 4 and parts[2] == "resolve":
            return self._file("/".join(parts[:2]), parts[3], "/".join(parts[4:]), body)
        return self._send(404)

    def _commit(self, repo, revision):
        """Repository, commit and its files; None after an error was sent."""
        found = self.hub.repositories.get(repo)
        if found is None:
            # The hub's own answer: it does not tell a private repository from one that there is not.
            return self._send(401, headers={"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        commit = found.refs.get(revision, revision)
        if commit not in found.commits:
            return self._send(404, headers={"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        return found, commit, found.commits[commit]

    def _model(self, repo, rest, body):
        revision = rest[1] if rest[:1] in (["revision"], ["tree"]) else "main"
        found = self._commit(repo, revision)
        if found is None:
            return None
        _, commit, files = found
        if rest[:1] == ["tree"]:
            folder = "".join(f"{part}/" for part in rest[2:])
            document = _children(files, folder) if "recursive=false" in self.path else _described(files)
        else:
            document = {"id": repo, "modelId": repo, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
        return self._send(200, json.dumps(document).encode(), {"Content-Type": "application/json"}, body=body)

    def _file(self, repo, revision, name, body):
        found = self._commit(repo, revision)
        if found is None:
            return None
        repository, commit, files = found
        if repository.status != 200:
            headers = {"X-Error-Code": "GatedRepo", "X-Error-Message": f"Access to model {repo} is restricted"}
            return self._send(repository.status, headers=headers)
        headers = {"X-Repo-Commit": commit}
        if name not in files:
            return self._send(404, headers={**headers, "X-Error-Code": "EntryNotFound"})
        headers["ETag"] = f'"{hashlib.sha1(files[name]).hexdigest()}"'
        return self._send(200, files[name], headers, body=body)

    def _send(self, status, data=b"", headers=None, *, body=True):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)


def _described(files):
    return [
        {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
        for name, data in files.items()
    ]


def _children(files, folder):
    """What lies directly in a folder."""
    below = {name: data for name, data in files.items() if name.startswith(folder)}
    folders = {folder + name.removeprefix(folder).split("/")[0] for name in below if "/" in name.removeprefix(folder)}
    direct = {name: data for name, data in below.items() if "/" not in name.removeprefix(folder)}
    return [*({"type": "directory", "path": name, "oid": "0"} for name in sorted(folders)), *_described(direct)]
