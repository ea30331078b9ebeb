"""Cleaning and reading of dirty text: each step, the order of the steps, files of every encoding."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minillm.errors import UserError
from minillm.text import clean, read_text
from minillm.text.clean import (
    collapse_spaces,
    normalize,
    remove_stop_words,
    strip_control,
    strip_html,
    to_halfwidth,
    unescape_entities,
)
from minillm.text.files import write_text

# Any str that Python can hold, lone surrogates included, and what is most likely to go wrong.
CODE_POINTS = st.text(st.characters(exclude_categories=()), max_size=30)
PIECES = r"""
< > & ; / ! ? - [ ] # x = ' " &amp; &lt; &gt &#38; &#x26; &nbsp &#0; &#8203; amp; lt; <b> </b> <br/> <p a='>'>
<script> </script> <style <!-- --> <![ ]]> <!doctype <? ?> 你 Ａ ！ é e
"""
BLANKS = [" ", "\n", "\t", "\r", "\u3000", "\0", "\x85", "\u0301", "\ud800", "\u200b", "\ufeff"]
MARKUP = st.lists(st.sampled_from(PIECES.split() + BLANKS), max_size=12).map("".join)
ANY_TEXT = CODE_POINTS | MARKUP

STEPS = {
    "strip_html": strip_html,
    "unescape_entities": unescape_entities,
    "strip_control": strip_control,
    "to_halfwidth": to_halfwidth,
    "to_halfwidth with punctuation": lambda text: to_halfwidth(text, punctuation=True),
    "NFC": normalize,
    "NFKC": lambda text: normalize(text, "NFKC"),
    "collapse_spaces": collapse_spaces,
    "clean without 1, 2": lambda text: clean(text, html=False, entities=False),
    "clean without 1, 2, NFKC": lambda text: clean(text, html=False, entities=False, unicode="NFKC"),
}
OFF = {"html": False, "entities": False, "control": False, "width": False, "unicode": None, "spaces": False}


@pytest.mark.parametrize("name", STEPS)
def test_every_step_is_idempotent_and_never_fails(name):
    @given(ANY_TEXT)
    def check(text):
        once = STEPS[name](text)
        assert STEPS[name](once) == once

    check()


@given(ANY_TEXT)
def test_clean_never_fails_and_its_result_is_unicode(text):
    clean(text).encode()


@given(ANY_TEXT)
def test_with_all_steps_off_nothing_changes(text):
    assert clean(text, **OFF) == text


@pytest.mark.parametrize(
    ("dirty", "neat"),
    [
        ("我<b>爱</b>北京", "我爱北京"),
        ("<p>一</p><p>二</p>三<br/>四", "\n一\n\n二\n三\n四"),
        ("一<script>if (a<b) {x}</script>二<STYLE>p > a {}</style>三", "一二三"),
        ("一<!-- <b>没有</b> -->二<![x]>三<?php 四 ?>五<!DOCTYPE html>六", "一二三五六"),
        ('<a title="a>b" href=x>链接</a>', "链接"),
        ("1 < 2, 3 > 2, <3", "1 < 2, 3 > 2, <3"),
        ("&lt;b&gt; &amp &#20320; \ue000", "&lt;b&gt; &amp &#20320; \ue000"),
        ("<<b>i>斜", "斜"),
        ("一<link href=x>二<spanner>三</P >四", "一二三\n四"),
    ],
)
def test_strip_html(dirty, neat):
    assert strip_html(dirty) == neat


@pytest.mark.parametrize(
    ("dirty", "neat"),
    [
        ("&lt;你&gt;&#20320;&#x4F60;&nbsp;", "<你>你你\xa0"),
        ("&amp;amp;amp;lt;", "<"),
        ("&&#108;t;", "<"),
        ("AT&T", "AT&T"),
        ("&#" + "9" * 5000 + ";&#xD800;&#x110000;", "\ufffd" * 3),
    ],
)
def test_unescape_entities(dirty, neat):
    assert unescape_entities(dirty) == neat


def test_strip_control():
    assert (
        strip_control("\ufeff你\u200b好\x00\x1b\ud83d\xad\u202e\t。\r\n一\r二\u2028三\x85") == "你好\t。\n一\n二\n三\n"
    )


def test_width_keeps_chinese_punctuation_unless_told():
    assert to_halfwidth("ＡＢｃ１２３，好！《。》") == "ABc123，好！《。》"
    assert to_halfwidth("Ａ，好！（《。》", punctuation=True) == "A,好!(《。》"


def test_normalize():
    assert normalize("e\u0301①，") == "é①，"
    assert normalize("①，", "NFKC") == "1,"


def test_collapse_spaces():
    assert collapse_spaces(" \u3000一 \t\xa0二 \n \n \n\n 三\n四 \n") == "一 二\n\n三\n四"


def test_stop_words_are_words_not_characters():
    pytest.importorskip("jieba")
    assert remove_stop_words("我的目的是学习", ["的", "是"]) == "我目的学习"
    assert clean("我的目的是学习", stop_words={"的"}) == "我目的是学习"


@pytest.mark.parametrize(
    ("dirty", "neat", "reason"),
    [
        ("&lt;b&gt;是粗体的标签", "<b>是粗体的标签", "tags before entities"),
        ("北&#8203;京", "北京", "entities before control characters"),
        ("e\u200b\u0301", "é", "control characters before normalisation"),
        ("Ａ\u0301", "Á", "width before normalisation"),
        ("<p>一</p>&nbsp;<p>二</p>", "一\n\n二", "spaces last"),
    ],
)
def test_order_of_the_steps(dirty, neat, reason):
    assert clean(dirty) == neat, reason


@pytest.mark.parametrize("step", OFF)
def test_each_step_can_be_switched_off_alone(step):
    parts = {
        "html": "<b>",
        "entities": "&lt;",
        "control": "\u200b",
        "width": "Ａ",
        "unicode": "e\u0301",
        "spaces": "  ",
    }
    dirty = "x".join(parts.values())
    assert parts[step] not in clean(dirty)
    assert parts[step] in clean(dirty, **{step: OFF[step]})


# ---------------------------------------------------------------------- files

TEXT = "我爱北京天安门，爷爷带我看升旗。\nHello 2024!\n"


@pytest.fixture
def file(tmp_path):
    def write(data: bytes) -> Path:
        path = tmp_path / "文本.txt"
        path.write_bytes(data)
        return path

    return write


def refusal(path, *encoding) -> str:
    """The one line with which read_text refuses a file."""
    with pytest.raises(UserError) as caught:
        read_text(path, *encoding)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_utf8_with_and_without_bom_and_every_line_end(file):
    assert read_text(file(TEXT.encode())) == TEXT
    assert read_text(str(file(TEXT.encode("utf-8-sig")))) == TEXT
    assert read_text(file("一\r\n二\r三\n".encode())) == "一\n二\n三\n"


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("gbk", "gb18030"),
        ("gb18030", "gb18030"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
    ],
)
@pytest.mark.parametrize(("text", "sample"), [(TEXT * 3, '"我爱北京天安门，'), ("Hello, 你好\n", '"你好"')])
def test_other_encodings_are_detected_and_read_when_named(file, encoding, named, text, sample):
    path = file(text.encode(encoding))
    message = refusal(path)
    assert f"--encoding {named} " in message and sample in message
    assert read_text(path, named) == text


def test_a_gbk_file_that_ends_inside_a_character_is_still_detected(file):
    path = file(TEXT.encode("gbk") + "门".encode("gbk")[:1])
    assert "--encoding gb18030" in refusal(path)
    assert "is not gb18030" in refusal(path, "gb18030")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\xff\xfe", "looks binary (a zero byte at 8)"),
        (b"Bush hid the facts\0", "looks binary (a zero byte at 18)"),
        (bytes(64), "looks binary"),
        (b"\xff\x81\x7f\x80 \xa0", "is not UTF-8 at byte 0 (line 1)"),
        ("一二\n三四五六".encode()[:-1], "is damaged UTF-8 at byte 16 (line 2)"),
    ],
)
def test_what_is_no_text_is_refused(file, data, said):
    assert said in refusal(file(data))


def test_missing_files_directories_and_odd_names(tmp_path):
    assert "no such file" in refusal(tmp_path / "none.txt")
    assert "directory" in refusal(tmp_path)
    assert "cannot be read" in refusal("a\0b")


@pytest.mark.parametrize("encoding", ["klingon", "", "hex", "a\0"])
def test_unknown_encodings(file, encoding):
    assert "unknown text encoding" in refusal(file(b"abc"), encoding)


@given(data=st.binary(max_size=60) | ANY_TEXT.map(lambda text: text.encode("utf-16-le", "surrogatepass")))
def test_any_bytes_give_text_or_one_line(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)
    try:
        text = read_text(path)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert text and "\0" not in text and "\r" not in text
        assert text == data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_write_text_is_all_or_nothing(tmp_path, monkeypatch, failing):
    def fail(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.txt"
    write_text(path, "旧")
    monkeypatch.setattr(f"minillm.text.files.os.{failing}", fail)
    with pytest.raises(UserError, match="cannot be written: No space left"):
        write_text(path, "新")
    assert read_text(path) == "旧"
    assert list(tmp_path.iterdir()) == [path]


def test_write_text_names_what_it_cannot_write(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "一")
    for place in (tmp_path, tmp_path / "none" / "a.txt", path / "b.txt", "", "a\0"):
        with pytest.raises(UserError, match="cannot be written"):
            write_text(place, "新")
