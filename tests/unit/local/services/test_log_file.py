from pathlib import Path

from infra.local.services.log_file import LogFile


def test_it_keeps_the_last_lines_in_bounded_room(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log", max_bytes=100)
    for number in range(1000):
        log.write(f"line {number}")
    log.close()
    assert log.path.read_text().endswith("line 999\n")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 250
    assert log.path.stat().st_mode & 0o777 == 0o600
