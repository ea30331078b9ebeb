"""Fetching corpora: from a server that misbehaves on purpose, from a folder, twice at once, and with Ctrl-C."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.parse

import pytest
from misbehaving import HANG, misbehaving
from processes import ENV

from minillm.data import catalogue, download, transfer
from minillm.data.catalogue import Source, SourceFile
from minillm.data.lock import locked
from minillm.errors import UserError

CONTENT = random.Random(0).randbytes(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FETCH = """
import signal, sys
from minillm.data.catalogue import Source, SourceFile
from minillm.data.download import fetch
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
name, size, sha256 = sys.argv[1:]
file = SourceFile(name, "http://127.0.0.1:1/unused", int(size), sha256)
fetch(Source("play", "", "", "none", "nobody", (file,)))
"""


@pytest.fixture
def server():
    with misbehaving(CONTENT) as running:
        yield running


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder; pauses are noted, not made."""
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("MINILLM_MIRROR", raising=False)
    return tmp_path / "cache" / "corpora"


@pytest.fixture
def pauses(monkeypatch):
    noted = []
    monkeypatch.setattr(transfer.time, "sleep", noted.append)
    return noted


def play(server, name="play/file.txt") -> Source:
    file = SourceFile(name, f"{server.address}/commit/%E5%94%90/file.txt", len(CONTENT), SHA256)
    return Source("play", "a play", "one file", "none", "nobody", (file,))


def files(folder) -> dict[str, int]:
    """All files under the folder and their sizes."""
    return {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


WHOLE = {"file.txt": len(CONTENT)}

# ---------------------------------------------------------------------- what a server can do


def test_a_good_server_is_asked_once(server, cache, capsys):
    for _ in range(2):
        (path,) = download.fetch(play(server))
        assert path.read_bytes() == CONTENT and path == cache / "play" / "file.txt"
    assert server.asked == [None] and files(cache) == WHOLE
    assert "licence: none; source: nobody" in capsys.readouterr().err


@pytest.mark.parametrize(
    "script, asked",
    [
        (["cut", "cut"], [None, "bytes=66666-", "bytes=111110-"]),
        (["cut", "no_ranges"], [None, "bytes=66666-"]),
        (["cut", "wrong_range"], [None, "bytes=66666-", None]),
        (["cut", "altered"], [None, "bytes=66666-", None]),
        (["altered"], [None, None]),
        (["cut", "page"], [None, "bytes=66666-", "bytes=66666-"]),  # what has come before the page is kept
        (["page_of_unsaid_length"], [None, None]),
        (["longer"], [None, None]),
        (["broken", "hang_up"], [None, None, None]),
        (["drip"], [None]),
        (["cut"] * 8, None),  # each brings the file on: no limit to such tries
    ],
    ids=lambda value: "-".join(value) if value and None not in value else "",
)
def test_what_can_be_put_right_is(server, cache, pauses, script, asked):
    server.script = list(script)
    (path,) = download.fetch(play(server))
    assert path.read_bytes() == CONTENT and files(cache) == WHOLE
    assert server.script == []
    assert asked is None or server.asked == asked
    assert len(pauses) == len(server.asked) - 1


@pytest.mark.parametrize(
    "always, says, tries",
    [
        ("missing", "HTTP 404", 1),
        ("round_and_round", "redirects lead nowhere", None),
        ("broken", "HTTP 500", 4),
        ("hang_up", "closed connection", 4),
        ("altered", r"not the file \(wrong SHA-256\)", 4),
        ("page", "sent 60 bytes of text/html where 200000 are right", 4),
        ("longer", "sent 200001 bytes of text/plain where 200000 are right", 4),
    ],
)
def test_what_cannot_be_put_right_leaves_nothing(server, cache, pauses, always, says, tries):
    server.always = always
    with pytest.raises(UserError, match=says) as caught:
        download.fetch(play(server))
    message = str(caught.value)
    assert "\n" not in message and "MINILLM_MIRROR" in message and str(cache / "play" / "file.txt") in message
    assert files(cache) == {}
    assert tries is None or (len(server.asked), len(pauses)) == (tries, tries - 1)


def test_pauses_grow_and_a_server_may_ask_for_longer_ones(server, cache, pauses):
    server.script = ["broken", "broken", "broken"]
    download.fetch(play(server))
    for pause, middle in zip(pauses, (0.5, 1, 2), strict=True):
        assert 0.5 * middle <= pause <= 1.5 * middle
    server.script = ["busy"]
    download.fetch(play(server, "other.txt"))
    assert pauses[3:] == [7.0]


def test_silence_is_not_waited_for_for_ever(server, cache, pauses, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.2)
    server.script = ["hang"]
    (path,) = download.fetch(play(server))
    assert path.read_bytes() == CONTENT and server.asked == [None, f"bytes={HANG}-"]


def test_the_part_of_an_earlier_try_is_used_if_it_can_be(server, cache, pauses):
    part = cache / "play" / "file.txt.part"
    part.parent.mkdir(parents=True)
    for old, asked in (
        (CONTENT[:1000], ["bytes=1000-"]),
        (CONTENT, []),  # stopped just before its rename
        (b"other" * 100, ["bytes=500-", None]),  # of another file: seen at the end, begun afresh
        (CONTENT + b"more", [None]),
    ):
        part.write_bytes(old)
        server.asked.clear()
        (path,) = download.fetch(play(server))
        assert path.read_bytes() == CONTENT and server.asked == asked and files(cache) == WHOLE
        path.unlink()


def test_a_file_damaged_in_the_cache_is_found_and_fetched_again(server, cache):
    (path,) = download.fetch(play(server))
    for damage in (CONTENT[:-1], b"x" + CONTENT[1:]):
        path.write_bytes(damage)
        assert download.state(play(server).files[0]) == "damaged"
        assert download.fetch(play(server))[0].read_bytes() == CONTENT
    path.unlink()
    assert download.state(play(server).files[0]) == "missing"


def test_no_network(cache, pauses, monkeypatch):
    monkeypatch.setenv("MINILLM_MIRROR", "http://127.0.0.1:1")  # nobody listens there
    with pytest.raises(
        UserError, match=r"refused; check the network and try again .* name a mirror, a folder or an address, with MINI"
    ):
        download.fetch(catalogue.find("tang300"))
    assert len(pauses) == 3


def test_no_such_address(cache, pauses, monkeypatch):
    for address in ("http://[", "http://a b", f"http://{'a' * 70}.org"):
        monkeypatch.setenv("MINILLM_MIRROR", address)
        with pytest.raises(UserError, match="cannot be fetched"):
            download.fetch(catalogue.find("tang300"))


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be written: Not a directory; free space, or name a folder with MINI"):
        download.fetch(play(server))


# ---------------------------------------------------------------------- more than one process, and Ctrl-C


def start(server, cache):
    """A process that fetches the play from the server."""
    told = {"MINILLM_MIRROR": server.address, "MINILLM_CACHE": str(cache.parent), "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", FETCH, "play/file.txt", str(len(CONTENT)), SHA256]
    return subprocess.Popen(command, env={**ENV, **told}, stderr=subprocess.PIPE, text=True, encoding="utf-8")


def wait_for(condition) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("waited half a minute in vain")


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
@pytest.mark.parametrize("number", [signal.SIGINT, getattr(signal, "SIGKILL", None)])
def test_an_interrupted_download_leaves_a_part_that_the_next_goes_on_with(server, cache, number):
    server.script = ["hang"]
    process = start(server, cache)
    wait_for(lambda: files(cache).get("file.txt.part") == HANG)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode != 0
    left = files(cache)
    assert left.pop("file.txt.lock", 0) == 0  # nobody holds it: see the next lines
    assert left == {"file.txt.part": HANG}
    (path,) = download.fetch(play(server))
    assert path.read_bytes() == CONTENT and files(cache) == WHOLE and server.asked == [None, f"bytes={HANG}-"]


def test_two_processes_fetch_it_once(server, cache):
    server.script = ["hang"]
    first = start(server, cache)
    wait_for(lambda: files(cache).get("file.txt.part") == HANG)
    second = start(server, cache)
    assert "fetching play" in second.stderr.readline() and "licence" in second.stderr.readline()
    assert "another process is fetching play/file.txt" in second.stderr.readline()
    server.go_on.set()
    for process in (first, second):
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert (cache / "play" / "file.txt").read_bytes() == CONTENT
    assert files(cache) == WHOLE and server.asked == [None, f"bytes={HANG}-"]


def test_many_processes_at_once(server, cache):
    server.script = ["cut", "altered", "broken"]
    processes = [start(server, cache) for _ in range(4)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert (cache / "play" / "file.txt").read_bytes() == CONTENT and files(cache) == WHOLE


def test_a_lock_is_held_by_one_and_a_left_file_locks_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.lock"
    path.write_text("left by a process that died")

    class Waited(Exception):
        pass

    def waiting():
        raise Waited

    with locked(path, waiting), pytest.raises(Waited), locked(path, waiting):
        pass
    assert not path.exists()
    with locked(path, waiting):
        pass


# ---------------------------------------------------------------------- the catalogue and its mirror


def test_the_catalogue_is_whole():
    sources = catalogue.catalogue()
    assert list(sources) == ["tang300", "tang", "cmn-eng", "waimai"]
    names = [file.name for source in sources.values() for file in source.files]
    assert len(names) == len(set(names)) == 61 and len(sources["tang"].files) == 58
    for source in sources.values():
        assert source.about and source.licence and source.attribution and source.card().startswith("# ")
        for file in source.files:
            assert len(bytes.fromhex(file.sha256)) == 32 and file.bytes > 0
            base, _, rest = file.address.removeprefix("https://").partition("/")
            assert base == "raw.githubusercontent.com" and len(rest.split("/")[2]) == 40
            assert file.address.isascii() and " " not in file.address
    (tang300,) = sources["tang300"].files
    assert urllib.parse.unquote(tang300.address) == (
        "https://raw.githubusercontent.com/chinese-poetry/chinese-poetry/"
        "99ebbef7e1345c0985c44b9fd96a3f9e776f117b/全唐诗/唐诗三百首.json"
    )
    with pytest.raises(UserError, match="no corpus 'reader' to fetch; choose one of tang300, tang"):
        catalogue.find("reader")


def test_the_catalogue_agrees_with_the_list_it_was_made_from(shared_data):
    listed = json.loads((shared_data.parent / "sources.json").read_text(encoding="utf-8"))
    ours = {file.name: (source, file) for source in catalogue.catalogue().values() for file in source.files}
    assert len(listed) == len(ours)
    for entry in listed:
        source, file = ours[entry["file"]]
        assert (source.name, source.licence, source.size) == (entry["corpus"], entry["licence"], entry["note"])
        assert (file.bytes, file.sha256) == (entry["bytes"], entry["sha256"])
        path = "/".join((entry["repository"], entry["commit"], entry["path"]))
        assert urllib.parse.unquote(file.address) == f"{catalogue.OFFICIAL}/{path}"


def test_every_corpus_comes_from_a_folder_as_a_mirror(shared_data, cache, monkeypatch):
    monkeypatch.setenv("MINILLM_MIRROR", str(shared_data))
    for source in catalogue.catalogue().values():
        assert {download.state(file) for file in source.files} == {"missing"}
        paths = download.fetch(source, quiet=True)
        assert [path.stat().st_size for path in paths] == [file.bytes for file in source.files]
        assert {download.state(file) for file in source.files} == {"ok"}
        assert all(path.is_relative_to(download.location(source)) for path in paths)
    monkeypatch.setenv("MINILLM_MIRROR", "/nowhere")
    assert download.fetch(catalogue.find("tang300"))  # what the cache holds needs no mirror


def test_a_bad_folder_as_a_mirror(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("MINILLM_MIRROR", str(tmp_path))
    with pytest.raises(UserError, match="cannot be read: No such file or directory; MINILLM_MIRROR must name a folder"):
        download.fetch(catalogue.find("tang300"))
    (tmp_path / "tang300.json").write_text("[]")
    with pytest.raises(UserError, match=r"not the file \(wrong SHA-256\); mend the mirror MINILLM_MIRROR names"):
        download.fetch(catalogue.find("tang300"))
    assert files(cache) == {}
