"""The console script's own name in what it says, and what a shell completes."""

import shutil
import subprocess
import sys

import pytest

from yolo import cli


def test_each_name_of_the_program_is_said_as_it_was_typed(monkeypatch, capsys):
    for script, name in (
        ("/usr/bin/keras-focal", "keras-focal"),
        ("yolo/__main__.py", "python -m yolo"),
    ):
        monkeypatch.setattr(sys, "argv", [script])
        assert cli.main(["--help"]) == 0
        assert f"usage: {name} COMMAND" in capsys.readouterr().out
        assert cli.main(["trian"]) == 2
        assert (
            capsys.readouterr().err
            == f"{name}: error: there is no command 'trian'; did you mean train?\n"
        )
        with pytest.raises(SystemExit):
            cli.main(["check", "--dat"])
        assert f"(all options: {name} check --help)" in capsys.readouterr().err
    assert (
        cli.typed("keras-focal train", ["--data", "my data"])
        == "keras-focal train --data 'my data'"
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_values_and_files(capsys, tmp_path):
    pytest.importorskip("shtab")
    assert cli.main(["--print-completion", "bash"]) == 0
    (tmp_path / "complete.bash").write_text(capsys.readouterr().out, encoding="utf-8")
    (tmp_path / "labels.csv").touch()

    def completed(*words):
        typed = " ".join(("keras-focal", *words))
        script = (
            f"source complete.bash; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; "
            "_shtab_keras_focal; echo ${COMPREPLY[@]}"
        )
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, check=True, text=True
        )
        return done.stdout.split()

    assert completed("ev") == ["evaluate"]
    assert "--image-size" in completed("train", "--imag")
    assert completed("train", "--loss", "foc") == ["focal", "focal-star"]
    assert completed("train", "--data", "lab") == ["labels.csv"]


def test_what_is_no_shell_and_a_missing_library_are_one_line(monkeypatch, capsys):
    assert cli.main(["--print-completion"]) == cli.main(["--print-completion", "fish"]) == 2
    assert capsys.readouterr().err.count("takes bash, zsh, tcsh\n") == 2
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["--print-completion", "zsh"]) == 1
    assert "pip install shtab" in capsys.readouterr().err
