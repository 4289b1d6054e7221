"""
What is promised in words is tested: the statuses that the ABI headers name are those of tests/host/call_rows.c, each
call has at most one quota, and no advisory of the list is without a test, or a reason why it cannot happen here.
"""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADERS = sorted((ROOT / "guests/include/weir").glob("*.h"))

STATUSES = ("INVALID", "DENIED", "NOT_FOUND", "STALE", "AGAIN", "BUSY", "QUOTA", "CLOSED", "IO", "TIMEOUT", "FAULT")
CALL = re.compile(r"^ \* WEIR_FN_(\w+):", re.MULTILINE)
STATUS = re.compile(r"\bWEIR_(%s)\b" % "|".join(STATUSES))
ROW = re.compile(r"\{ WEIR_FN_(\w+),\s*\{([^}]*)\},\s*(0|ERRORS\d\(([^)]*)\)) \}")

# Their arguments cannot be wrong, and abi.h says nothing of errors.
NO_ERRORS = {"VERSION", "PAGES"}


def calls_of(text):
    """Call -> what its header says of its errors, from `errors:` to the end of that paragraph's list."""
    found = {}
    for comment in re.findall(r"/\*\n.*?\*/", text, re.DOTALL):
        places = list(CALL.finditer(comment))
        for place, after in zip(places, [*places[1:], None]):
            part = comment[place.end():after.start() if after else len(comment)]
            errors = re.search(r"^ \*   errors:(.*?)(?=^ \*\n|^ \*   \w+:|^ \*   [A-Z]|\Z)", part, re.DOTALL | re.MULTILINE)
            found[place[1]] = errors[1] if errors else None
    return found


def promised():
    found = {}
    for header in HEADERS:
        found.update(calls_of(header.read_text()))
    return found


def rows():
    text = (ROOT / "tests/host/call_rows.c").read_text()
    return {name: {word.strip() for word in errors.split(",")} if errors else set()
            for name, _, _, errors in ROW.findall(text)}


def numbers():
    text = (ROOT / "guests/include/weir/abi.h").read_text()
    return {name for name in re.findall(r"^\tWEIR_FN_(\w+) = \d+,", text, re.MULTILINE) if name != "COUNT"}


def test_each_call_has_a_row_and_a_header():
    assert rows().keys() == numbers()
    assert promised().keys() >= numbers() - {"VERSION"}


@pytest.mark.parametrize("call", sorted(numbers() - NO_ERRORS))
def test_the_row_has_the_statuses_of_the_header(call):
    text = promised()[call]
    assert text is not None, f"WEIR_FN_{call}: no line of errors"
    assert set(STATUS.findall(text)) == rows()[call]


@pytest.mark.parametrize("call", sorted(numbers() - NO_ERRORS))
def test_a_quota_is_said_once_so_that_its_status_says_which(call):
    assert len(re.findall(r"\bWEIR_QUOTA\b", promised()[call])) <= 1


# ---- Advisories ----

ADVISORIES = (107, 155, 218, 224, 226, 230, 236, 255, 268, 284, 287, 295, 316, 340, 342, 343, 344, 358, 359, 379,
              380, 382, 384, 394, 411)
PROGRAMS = {path.name: path.read_text() for path in sorted((ROOT / "tests/host").glob("test_advisories_*.c"))}
TABLE = PROGRAMS["test_advisories_events.c"]


def test_the_table_of_advisories_is_the_list():
    rows = re.findall(r"^ \*   ([\d ]+?) {2,}(\w+\.c|here)$", TABLE, re.MULTILINE)
    assert sorted(int(number) for numbers, _ in rows for number in numbers.split()) == sorted(ADVISORIES)


@pytest.mark.parametrize("number", ADVISORIES)
def test_each_advisory_has_a_test_that_runs_and_says_what_its_class_is(number):
    text = "".join(PROGRAMS.values())
    names = set(re.findall(rf"^TEST\((xsa_{number}_\w+)\)", text, re.MULTILINE))
    assert len(names) == 1
    assert f"CASE({names.pop()})," in text
    assert re.search(rf"/\* ---- XSA-{number}: \w", text)


@pytest.mark.parametrize("number", ADVISORIES)
def test_the_table_names_the_file_of_the_test(number):
    row, = re.findall(rf"^ \*   [\d ]*\b{number}\b[\d ]* {{2,}}(\w+\.c|here)$", TABLE, re.MULTILINE)
    assert f"TEST(xsa_{number}_" in PROGRAMS["test_advisories_events.c" if row == "here" else row]
