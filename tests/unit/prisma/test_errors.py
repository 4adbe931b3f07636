"""What errors are called, and that no text of Postgres's that quotes a value is passed on."""

import json
from dataclasses import dataclass

import pytest
from prisma_in_process.errors import not_connected, query_failed
from prisma_in_process.url import DatabaseUrl


@dataclass
class InvalidTextRepresentationError(Exception):
    """A report as the driver has it; its class is named as the driver's."""

    sqlstate: str
    message: str
    detail: str | None = None
    column_name: str | None = None
    constraint_name: str | None = None


Report = InvalidTextRepresentationError
CASES = [
    (Report("22P02", "ungültige Eingabesyntax für Typ uuid: »hush«"), "P2007", "invalid text representation"),
    (Report("42P01", "Relation »Todo« existiert nicht"), "P2021", "The table `Todo`"),
    (Report("42P01", 'relation "s.Todo" does not exist'), "P2021", "The table `s.Todo`"),
    (Report("42703", "column t0.a does not exist"), "P2022", "The column `t0.a`"),
    (Report("42703", "?"), "P2022", "The column `(not available)`"),
    (
        Report("23505", "m", 'Key (a, "b, c", lower(d, e))=(hush)=(x) exists'),
        "P2002",
        "(`a`,`b, c`,`lower(d, e)`)",
    ),
    (Report("23505", "m", None, None, "a_key"), "P2002", "constraint: `a_key`"),
    (Report("23503", "m", "Key (a)=(hush)", None, "a_fkey"), "P2003", "`a_fkey (index)`"),
    (Report("23502", "m", "Failing row contains (hush)", "a"), "P2011", "(`a`)"),
    (Report("42P05", "prepared statement exists"), None, "pgbouncer=true"),
    (Report("P0001", "as a trigger says"), None, "Code: `P0001`. Message: `as a trigger says`"),
]


@pytest.mark.parametrize(("report", "code", "text"), CASES)
def test_an_error_of_a_query(report: Report, code: str | None, text: str) -> None:
    error = query_failed(report, raw=False)
    assert error.code == error.body["user_facing_error"]["error_code"] == code
    assert text in str(error)
    raw = query_failed(report, raw=True)
    assert (raw.code, raw.body["user_facing_error"]["meta"]["code"]) == ("P2010", report.sqlstate)
    assert "hush" not in json.dumps([error.body, raw.body])


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (Report("57P03", "the database system is starting up"), "P1001", "57P03"),
        (
            Report("28000", "no pg_hba.conf entry for hush"),
            "P1010",
            "`u` was denied access on the database `d`",
        ),
        (Report("08P01", "hush"), "P1001", "08P01"),
        (TimeoutError("hush"), "P1001", "`[::1]:5432`: please make sure that it is running (TimeoutError)"),
        # what listens there is no Postgres
        (ConnectionError("rejected SSL upgrade"), "P1001", "`[::1]:5432`: please make sure that it is"),
    ],
)
def test_an_error_on_the_way_to_a_connection(error: Exception, code: str, text: str) -> None:
    found = not_connected(error, DatabaseUrl(host="::1", user="u", password="hush", database="d"))
    assert found.code == code
    assert text in str(found)
    assert "hush" not in json.dumps(found.body)


def test_a_server_without_the_tls_that_is_demanded() -> None:
    found = not_connected(ConnectionError("rejected SSL upgrade"), DatabaseUrl(tls="require"))
    assert found.code == "P1011"
    assert "`sslmode` demands it" in str(found)
