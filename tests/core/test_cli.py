import subprocess
import sys

import click
import pytest

from exlcap.cli import COMMANDS, group

HEAVY = ("torch", "cv2", "pypylon", "fiftyone", "numpy", "pydantic", "matplotlib")


def run(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, "-m", "exlcap", *map(str, arguments)], capture_output=True, text=True, check=False, **kwargs
    )


def test_help_imports_nothing_heavy_and_is_quick():
    code = (
        "import sys, resource; from exlcap.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        f"print([m for m in {HEAVY} if m in sys.modules], used.ru_utime + used.ru_stime, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, seconds = done.stderr.rsplit(" ", 1)
    assert loaded == "[]"
    assert float(seconds) < 0.3  # CPU time, not wall time: the issue names this bar
    for name in COMMANDS:
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_that_matches_the_list(name):
    command = group.get_command(click.Context(group), name)
    assert command is not None
    assert command.help is not None
    assert command.help.splitlines()[0] == COMMANDS[name][1]
    done = run(name, "--help")
    assert done.returncode == 0
    assert "Example:" in done.stdout
    assert f"exlcap {name}" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_imports_nothing_heavy(name):
    code = (
        "import sys; from exlcap.cli import main\n"
        f"try: main([{name!r}, '--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_no_rig_says_what_to_do(tmp_path):
    done = run("-C", tmp_path, "align")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].startswith("error: no rig.toml in ")
    assert "try: " in done.stderr.splitlines()[1]
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback(tmp_path):
    done = run("-C", tmp_path, "--debug", "align")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_a_folder_that_is_not_there(tmp_path):
    done = run("-C", tmp_path / "nowhere", "align")
    assert done.returncode == 2
    assert "nowhere" in done.stderr


def test_a_full_disk_is_an_error_like_any_other(tmp_path):
    """/dev/full answers every write with ENOSPC."""
    (tmp_path / "out").symlink_to("/dev/full")
    code = (
        "from exlcap import cli; import click\n"
        "@click.command('align')\n"
        f"def align_command(): open({str(tmp_path / 'out')!r}, 'w').write('x' * 100000)\n"
        "cli.group.get_command = lambda ctx, name: align_command\n"
        "cli.main(['align'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: the disk is full" in done.stderr


def test_init_writes_a_rig_and_never_over_one(tmp_path):
    assert run("init", "--emulated", tmp_path / "lab").returncode == 0
    before = (tmp_path / "lab" / "rig.toml").read_text()
    done = run("init", tmp_path / "lab")
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert (tmp_path / "lab" / "rig.toml").read_text() == before


def test_init_works_where_dash_c_points(tmp_path):
    assert run("-C", tmp_path, "init", "--emulated").returncode == 0
    assert (tmp_path / "rig.toml").is_file()


def test_photos_need_labels(tmp_path):
    assert run("init", "--emulated", "--photos", tmp_path, tmp_path / "lab").returncode == 2


@pytest.mark.parametrize("command", ["shoot", "align", "annotate", "build", "train", "eval"])
def test_every_stage_can_speak_json(command):
    assert "--json" in run(command, "--help").stdout
