"""The chat page at `/`, used in a headless Chromium.

`PICTURES=<folder> make test-all ARGS=tests/e2e/test_chat_page.py` takes pictures of its states;
`docs/chat.png` is `code-light.png`.
"""

import ast
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.scenarios import seen_in_browser
from tests.engines import events
from tests.engines.behaviours import Chat, End, Hang, Sse, vllm_error
from tests.engines.scripted import ScriptedEngine, scripted_engine
from tests.engines.wire import Behaviour, Reply, Request
from tests.local_service import Service, run_local

pytestmark = pytest.mark.slow
Report = dict[str, Any]

CODE = """# Sum a column

`csv.reader` yields the rows, and `sum` takes a **generator**, so that no more than a row is in memory:

```python
def total(path: str, column: int) -> float:
    \"\"\"Return the sum of one column of a CSV file.\"\"\"
    with open(path, newline="") as file:
        rows = csv.reader(file)
        next(rows)  # the header
        return sum(float(row[column]) for row in rows if row)
```

| method | memory | note |
| --- | --- | --- |
| generator | constant | reads a row at a time, about as fast as the disk |
| list | grows with the file | good for small files, and to look at them twice |

See [the module's page](https://docs.example/csv) for other separators.
"""
MARKUP = """<script>window.hacked = 1</script>

<img src="https://elsewhere.example/a.png" onerror="window.hacked = 2">

![a cat](https://elsewhere.example/cat.png)
![x](javascript:window.hacked=3)

<iframe src="https://elsewhere.example"></iframe> <svg onload="window.hacked = 4"></svg>
<style>body { background: url(https://elsewhere.example/b.png) }</style>

[click](javascript:window.hacked=5) [data](data:text/html,x) [good](https://good.example/)
<a href="https://good.example" onclick="window.hacked = 6">raw</a>

```html" onmouseover="window.hacked = 7
<script>window.hacked = 8</script>
```
"""
LISTS = """5. five
6. six

- [ ] open
- [x] closed

| left | centre |
| --- | :-: |
| a | b |

שלום, **world**.

word
"""


def text_of(text: str, pace_s: float = 0.0) -> Chat:
    """Answer with a text, in pieces of eight characters."""
    parts = [text[at : at + 8] for at in range(0, len(text), 8)]
    paced = [piece for part in parts for piece in (pace_s, {"content": part})]
    usage = {"choices": [], "usage": events.usage_of(len(parts))}
    deltas = events.chunks(*paced, {"delta": {}, "finish_reason": "stop"}, usage)
    return Chat(Sse(events.joined(deltas, events.pieces(events.DONE))))


ERROR = b'data: {"error":{"message":"out of memory in layer 7","type":"server_error","code":500}}\n\n'
THINKING = events.chunks(
    {"reasoning": "First I "},
    {"reasoning": "think."},
    {"content": "Then I answer."},
    {"delta": {}, "finish_reason": "stop"},
)
BEHAVIOURS: Mapping[str, Behaviour] = {
    "in pieces": Chat(Sse(events.tokens(20, pace_s=0.03))),
    "endless": Chat(Sse(events.tokens(5000, pace_s=0.002, text="word  \nword "))),
    "How do I sum a column of a CSV file?": text_of(CODE, pace_s=0.02),
    "markup": text_of(MARKUP),
    "lists": text_of(LISTS),
    "empty": text_of(""),
    "thinking": Chat(Sse(events.joined(THINKING, events.pieces(events.DONE)))),
    "broken": vllm_error(500, "out of memory in layer 7"),
    "error in mid-stream": Chat(
        Sse(events.joined(events.tokens(3, finish=None, done=False), events.pieces(ERROR)))
    ),
    "held": Hang(),
    "cut": Chat(Sse(events.first(events.tokens(8), 4), end=End.CUT)),
}


@dataclass(frozen=True)
class ByMessage:
    """Answer as the last message says."""

    behaviours: Mapping[str, Behaviour]
    otherwise: Behaviour = field(default_factory=Chat)

    async def __call__(self, request: Request, reply: Reply) -> None:
        *_, last = request.fields.get("messages") or [{}]
        await self.behaviours.get(last.get("content", ""), self.otherwise)(request, reply)


@dataclass(frozen=True)
class Visit:
    """The service, its engine, and what the browser reports: the page, its requests and its errors."""

    service: Service
    engine: ScriptedEngine
    report: Report


@pytest.fixture(scope="module")
def visit(_here: None) -> Iterator[Visit]:
    with (
        scripted_engine(ByMessage(BEHAVIOURS), models=("scripted", "other")) as engine,
        run_local(BACKEND=engine.base_url, AUTH="on") as local,
    ):
        pictures = filter(None, [os.environ.get("PICTURES")])
        service = local.service
        report = seen_in_browser("chat", f"{service.url}/", service.key, *pictures, timeout_s=120)
        yield Visit(service, engine, report)


@pytest.fixture
def report(visit: Visit) -> Report:
    return visit.report


def test_a_missing_key_is_requested_and_kept_in_the_page_only(visit: Visit) -> None:
    assert visit.report["key_missing"].startswith("An API key is needed")
    local_storage, session_storage, cookie, address = visit.report["kept"]
    assert (local_storage, session_storage, cookie, address) == ({}, {}, "", f"{visit.service.url}/")
    assert not [url for _, url in visit.report["requests"] if visit.service.key in url]


def test_with_the_key_the_models_and_examples_are_offered(report: Report) -> None:
    assert report["models"] == ["scripted", "other"]
    assert len(report["examples"]) == 3
    assert report["serving_chat"] == ["c"]


def test_a_reply_is_shown_as_it_arrives_with_its_tokens_and_times(report: Report) -> None:
    assert len(report["lengths"]) > 5, report["lengths"]
    facts = r"37 tokens in, 20 out · \d+ per second · first after [\d.]+ s · [\d.]+ s in all"
    assert re.fullmatch(facts, report["facts"])


def test_a_screen_reader_gets_the_reply_once(report: Report) -> None:
    assert len(report["statuses"]) <= 4
    assert report["statuses"][-1].split() == ["word"] * 20


def test_a_long_wait_is_explained(report: Report) -> None:
    assert re.search(
        r"Waiting for the first token, (19|20) s\. A model that was switched off", report["waiting"]
    )


def test_a_page_that_was_not_loaded_completely_says_so(report: Report) -> None:
    assert report["incomplete"] == [False, True]


def test_escape_stops_the_engine(visit: Visit) -> None:
    assert visit.report["while_writing"]
    assert visit.report["stopped"].startswith("Stopped")
    visit.engine.wait_until(lambda: not visit.engine.open_streams)
    assert visit.engine.disconnects


def test_the_end_stays_in_sight_unless_the_reader_scrolls_up(report: Report) -> None:
    assert report["follows"]
    assert abs(report["moved"]) < 2


def test_code_is_coloured_and_copied(report: Report) -> None:
    assert report["code"]["language"] == "python"
    assert report["code"]["coloured"] > 5
    assert report["code"]["headings"] == ["h3"], "the page's own are h1 and h2"
    assert report["copied"].startswith("def total(path: str, column: int)")


def test_markup_in_a_reply_does_and_loads_nothing(report: Report) -> None:
    markup = report["markup"]
    assert markup["hacked"] is None
    assert (markup["elements"], markup["handlers"]) == (0, [])
    assert "<script>window.hacked = 1</script>" in markup["text"]
    assert {href for _, href, _ in markup["links"] if href} == {
        "https://elsewhere.example/cat.png",
        "https://good.example/",
    }
    assert {rel for _, _, rel in markup["links"]} == {"noopener noreferrer"}


def test_lists_and_tables_keep_what_markdown_says_of_them(report: Report) -> None:
    assert report["lists"] == {
        "boxes": [["checkbox", False], ["checkbox", True]],
        "start": 5,
        "aligned": ["start", "center"],
        "directions": ["rtl", "ltr"],
    }


def test_all_of_a_conversation_is_printed(report: Report) -> None:
    assert report["print"] == {"cut": 0, "controls": False}


def test_a_reply_without_text_says_so(report: Report) -> None:
    assert report["empty"].startswith("The reply has no text")


def test_known_attacks_by_markdown_become_nothing_but_text_and_links(report: Report) -> None:
    """Without a violation of the policy, which another test looks at: it is the last layer, not the first."""
    attacked = report["attacked"]
    assert attacked["hacked"] is None
    assert not {"img", "script", "style", "svg", "math", "iframe", "form", "template"} & set(
        attacked["elements"]
    )
    shown = {
        "aria-label",
        "aria-live",
        "class",
        "dir",
        "disabled",
        "href",
        "rel",
        "tabindex",
        "target",
        "title",
        "type",
    }
    assert set(attacked["attributes"]) <= shown
    assert {link.split("/")[2] for link in attacked["links"]} == {"a.example", "e.example"}


def test_reasoning_is_shown_when_it_is_opened(report: Report) -> None:
    closed, opened = report["reasoning"]
    assert closed.startswith("Thought for ")
    assert "First I think." not in closed
    assert "First I think." in opened


@pytest.mark.parametrize(
    ("case", "title"),
    [
        ("broken", "This did not work"),
        ("cut", "This did not work"),
        ("warming", "The model is starting"),
        ("limited", "Too many requests"),
        ("unreachable", "This did not work"),
    ],
)
def test_a_failure_is_explained(report: Report, case: str, title: str) -> None:
    assert report[case].startswith(title)
    assert "layer 7" not in report[case]
    assert "Retry" in report[case]


def test_a_failure_in_mid_stream_leaves_what_has_arrived(report: Report) -> None:
    text, problem = report["midstream"]
    assert text.split() == ["word"] * 3
    assert problem.startswith("This did not work")


def test_a_wait_that_the_api_names_is_waited_for_unless_it_is_cancelled(report: Report) -> None:
    assert "Next attempt in 2 s" in report["warming"]
    assert "20 out" in report["after_warming"]
    assert "Next attempt in 60 s" in report["limited"]
    assert ("What is left" in report["limited"], "What is left" in report["warming"]) == (True, False)
    assert "Next attempt" not in report["cancelled"]
    assert "20 out" in report["after_cancel"]


def test_a_retry_and_an_edit_send_what_came_before(report: Report) -> None:
    retried, edited = report["sent"]
    system = {"role": "system", "content": "Be brief."}
    message = {"role": "user", "content": 'it\'s "one"\nand two'}
    assert retried["model"] == "other"
    assert [each["role"] for each in retried["messages"]] == ["system", "user", "assistant", "user"]
    assert retried["messages"][:2] == [system, message]
    assert edited["messages"] == [system, {"role": "user", "content": "it's \"one\"\nand two 'three'"}]
    assert report["turns"] == 2


def test_the_request_is_shown_as_a_command_and_a_program_that_work(visit: Visit) -> None:
    curl, python = visit.report["snippets"]
    edited = visit.report["sent"][1]
    assert visit.service.key not in curl + python
    done = subprocess.run(
        ["bash", "-c", curl.replace("YOUR_API_KEY", visit.service.key)],
        capture_output=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.endswith(b"data: [DONE]\n\n")
    assert visit.engine.requests[-1].fields["messages"] == edited["messages"]
    (call,) = [
        node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Call) and len(node.keywords) == 3
    ]
    assert {each.arg: ast.literal_eval(each.value) for each in call.keywords} == {
        "model": "other",
        "messages": edited["messages"],
        "stream": True,
    }


def test_everything_is_reached_by_tab_and_shows_that_it_has_the_focus(report: Report) -> None:
    names = [name for name, _ in report["focused"]]
    assert names[:5] == ["model", "settings-button", "new", "conversation", "Edit"]
    assert names[-1] == "message"
    assert {"Edit", "Copy", "Copy code", "Retry", "Code", "the module's page"} <= set(names)
    assert [name for name, is_visible in report["focused"] if not is_visible] == []
    assert report["lines"] == "in pieces\nx"


@pytest.mark.parametrize(("screen", "height"), [("phone", 400), ("zoomed", 120)])
def test_nothing_is_wider_than_the_screen(report: Report, screen: str, height: int) -> None:
    widths = report[screen]
    assert (widths["page"], widths["conversation"], widths["outside"]) == (0, 0, [])
    assert widths["cut"] == 0, "expected wide code to scroll by itself"
    assert widths["height"] >= height


def test_axe_finds_nothing(report: Report) -> None:
    assert len(report["axe"]) == 22
    assert {name: found for name, found in report["axe"].items() if found} == {}


def test_the_browser_connects_to_this_service_only_and_reports_nothing(visit: Visit) -> None:
    assert [url for _, url in visit.report["requests"] if not url.startswith(f"{visit.service.url}/")] == []
    assert visit.report["violations"] == []
    lines = [line for line in visit.report["console"] if line.startswith(("error", "uncaught"))]
    expected = "error: Failed to load resource: "  # what was provoked: 401, 429, 500, 503, no network
    assert [line for line in lines if not line.startswith(expected)] == []
