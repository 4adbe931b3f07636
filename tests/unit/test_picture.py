from xml.etree import ElementTree

from tests.tools.picture import COLUMNS, Line, draw, shortened


def test_a_picture_is_xml_with_all_lines_and_cuts_long_ones() -> None:
    texts = [Line(0, "make run", "command"), Line(1, "a < b & c"), Line(2, "x" * 500)]
    drawn = ElementTree.fromstring(draw((texts, texts)))
    lines = ["".join(each.itertext()) for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert lines == ["$ make run", "a < b & c", "x" * (COLUMNS - 3) + "…"] * 2


def test_the_middle_of_many_lines_is_left_out() -> None:
    lines = [Line(number, str(number)) for number in range(10)]
    assert [line.text for line in shortened(lines, 2, 1)] == ["0", "1", "… 7 more lines", "9"]
