"""KDS's exclude_list.txt is read as old administrators left it, and never as more than it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.core.exclusions import Exclusions, Facts, KdsListError, parse_kds_list, read_kds_list

PLACE = Path("/opt/kds/exclude_list.txt")


def matching(data: bytes, *names: str) -> list[str]:
    exclusions = Exclusions(parse_kds_list(data, PLACE))
    return [name for name in names if exclusions.match(Facts(name))]


def test_names_and_extensions_with_exact_case() -> None:
    names = ["File1.txt", "file1.txt", "xFile1.txt", "File1xtxt", "a.doc", "a.DOC", "a.docx", "doc"]
    assert matching(b"File1.txt\n*.doc\n", *names) == ["File1.txt", "a.doc"]


def test_the_record_says_which_line_it_was() -> None:
    exclusions = Exclusions(parse_kds_list(b"\n\n*.doc\n", PLACE))
    assert exclusions.match(Facts("a.doc")) == "exclude_list.txt:3: *.doc"


@pytest.mark.parametrize(
    "data",
    [
        "Отчёт 1.txt\r\n\r\n*.док\r\n".encode(),
        "\ufeffОтчёт 1.txt\r\n*.док".encode(),
        "Отчёт 1.txt\r\n \t\r\n*.док  \r\n".encode("cp1251"),
        "\ufeffОтчёт 1.txt\n*.док\n".encode("utf-16-le"),
        "\ufeffОтчёт 1.txt\n*.док\n".encode("utf-16-be"),
        "Отчёт 1.txt\r*.док\r".encode(),
    ],
)
def test_old_encodings_line_ends_and_blank_lines(data: bytes) -> None:
    names = ["Отчёт 1.txt", "a.док", "a.txt", "\ufeffОтчёт 1.txt", "Отчёт 1.txt\r"]
    assert matching(data, *names) == ["Отчёт 1.txt", "a.док"]


def test_signs_that_other_tools_take_for_wildcards_are_themselves() -> None:
    assert matching(b"File[1].txt\n~$a\n#b\n", "File[1].txt", "File1.txt", "~$a", "#b") == [
        *("File[1].txt", "~$a", "#b")
    ]


def test_an_extension_of_two_parts() -> None:
    assert matching(b"*.tar.gz\n", "a.tar.gz", "a.gz", "tar.gz") == ["a.tar.gz"]


@pytest.mark.parametrize(
    "line",
    [
        *(
            "*",
            "*.*",
            "*.",
            "**",
            "?",
            "a*",
            "*a",
            "*.d*",
            "a?.txt",
            "*.doc*",
            "*..",
            "*.~",
            "*doc",
        ),
        *("/mnt/in/a.txt", "dir/a.txt", "..", ".", "dir\\a.txt", "*.a/b", "*/a.txt"),
        *("a\tb", "a\x0bb", "a\x00", "a\u202eb", "a\u2028b", "a\xa0"),
    ],
)
def test_a_line_that_is_more_than_a_name_is_refused_with_file_and_line(line: str) -> None:
    with pytest.raises(KdsListError) as caught:
        parse_kds_list(f"good.txt\n{line}\n".encode(), PLACE)
    assert str(caught.value).startswith("/opt/kds/exclude_list.txt:2: ")
    assert str(caught.value).isprintable()


def test_every_wrong_line_is_named() -> None:
    with pytest.raises(KdsListError) as caught:
        parse_kds_list(b"*\nok\na/b\n", PLACE)
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["1", "3"]


@pytest.mark.parametrize(
    "data", [b"a\x98\xff", b"\xff\xfea", b"\xef\xbb\xbf\xff", b"\xff\xfe\0\xd8"]
)
def test_what_is_no_text_is_refused_not_ignored(data: bytes) -> None:
    with pytest.raises(KdsListError, match="no text in UTF-8"):
        parse_kds_list(data, PLACE)


def test_a_list_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "exclude_list.txt"
    path.write_bytes(b"*.doc\r\n")
    assert [rule.name for rule in read_kds_list(path)] == ["*.doc"]
    with pytest.raises(KdsListError, match=r"missing\.txt: the list cannot be read: No such file"):
        read_kds_list(tmp_path / "missing.txt")


def test_an_empty_list_excludes_nothing() -> None:
    assert not Exclusions(parse_kds_list(b"\r\n\r\n", PLACE))
